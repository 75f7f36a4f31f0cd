#include "cli/blocks/block_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_FIRST (8u << 10)
#define WINDOW_LAST  (1u << 20)

/* Returns where the file ends; -1: its size does not say so. Files of /proc have data although their size is 0, files
 * of /sys end before their size, and a device without blocks has no size. */
static off_t end_of(int fd)
{
    struct stat st;
    char last;
    if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) return -1;
    off_t at = lseek(fd, 0, SEEK_CUR), size = at < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0 || lseek(fd, at, SEEK_SET) != at) return -1;
    ssize_t found = pread(fd, &last, 1, size > 0 ? size - 1 : 0);
    return found == (size > 0 ? 1 : 0) ? size : -1;
}

bool block_file_init(struct block_file *f, int fd, const struct record_ends *ends)
{
    off_t size = end_of(fd), at = size < 0 ? -1 : lseek(fd, 0, SEEK_CUR);
    *f = (struct block_file){.fd = fd, .ends = *ends, .at = (uint64_t)at, .size = (uint64_t)size};
    if (at > size) f->at = f->size;
    return at >= 0 && lseek(fd, 0, SEEK_END) >= 0;
}

void block_file_release(struct block_file *f)
{
    buf_release(&f->window);
}

/* Reads the bytes from `start` up to `end`. Returns false after a fault. */
static bool read_window(struct block_file *f, uint64_t start, uint64_t end)
{
    size_t len = (size_t)(end - start);
    buf_clear(&f->window);
    if (!buf_reserve(&f->window, len)) BUG("a buffer without a cap is full");
    while (f->window.len < len) {
        ssize_t n = pread(f->fd, f->window.data + f->window.len, len - f->window.len, (off_t)(start + f->window.len));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            const char *why = n < 0 ? strerror(errno) : "it has become shorter";
            unsigned long long at = start + f->window.len;
            snprintf(f->fault, sizeof f->fault, "cannot read the input file at byte %llu: %s", at, why);
            return false;
        }
        f->window.len += (size_t)n;
    }
    return true;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t longer(uint64_t window)
{
    return lesser(4 * window, WINDOW_LAST);
}

/* Returns the last cut that is above f->at and at most `max`; 0: there is none, or a fault. */
static uint64_t find_last(struct block_file *f, uint64_t max)
{
    uint64_t ahead = record_ends_ahead(&f->ends), window = WINDOW_FIRST;
    for (uint64_t start = max; start > f->at; window = longer(window)) {
        start = max - f->at > window ? max - window : f->at;
        if (!read_window(f, start, lesser(max + ahead, f->size))) return 0;
        size_t cut = record_ends_last(&f->ends, f->window.data, f->window.len, (size_t)(max - start));
        if (cut) return start + cut;
        max = start + (f->ends.end_len ? f->ends.end_len - 1 : 0); /* later cuts would have been found */
    }
    return 0;
}

/* Returns the first cut that is at least `min`, or the end of the file; 0: a fault. */
static uint64_t find_next(struct block_file *f, uint64_t min)
{
    uint64_t ahead = record_ends_ahead(&f->ends), before = f->ends.end_len + 1, window = WINDOW_FIRST;
    for (;; window = longer(window)) {
        uint64_t start = min > before ? min - before : 0, end = lesser(start + before + ahead + window, f->size);
        if (!read_window(f, start, end)) return 0;
        size_t cut = record_ends_next(&f->ends, f->window.data, f->window.len, (size_t)(min - start));
        if (cut) return start + cut;
        if (end == f->size) return f->size;
        min = end - ahead + 1;
    }
}

bool block_file_take_header(struct block_file *f)
{
    uint64_t end = lesser(f->at + BLOCK_HEADER_BYTES, f->size);
    if (!read_window(f, f->at, end)) return false;
    size_t len = block_header_find(&f->head, f->window.data, f->window.len);
    f->header_at = f->at;
    f->header_len = len ? len : f->window.len;
    f->at += f->header_len;
    if (len || end == f->size) return true;
    snprintf(f->fault, sizeof f->fault, "the header has more than 1 MiB");
    return false;
}

static uint64_t find_end_of_share(struct block_file *f)
{
    uint64_t left = f->size - f->at, share = (left + f->shares - 1) / f->shares;
    if (f->shares-- == 1) return f->size;
    return find_next(f, f->at + share);
}

static uint64_t find_end(struct block_file *f)
{
    if (f->shares) return find_end_of_share(f);
    if (f->size - f->at <= f->max) return f->size;
    uint64_t max = f->at + f->max, end = f->ends.len ? find_last(f, max) : max;
    return end || f->fault[0] ? end : find_next(f, max + 1);
}

enum block_step block_file_next(struct block_file *f, struct input_block *b)
{
    if (f->at == f->size || f->fault[0]) return BLOCK_END;
    uint64_t end = find_end(f);
    if (f->fault[0]) return BLOCK_END;
    *b = (struct input_block){.offset = f->at, .bytes = end - f->at, .fd = -1};
    f->at = end;
    return BLOCK_CUT;
}
