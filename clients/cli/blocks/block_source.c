#include "cli/blocks/block_source.h"

#include <fcntl.h>
#include <unistd.h>

/* Returns whether the file of the descriptor can be opened again, as the processes that feed the commands do. This
 * process may have inherited a descriptor of a file that it is not allowed to open. Does not wait for the writer of a
 * FIFO. */
static bool can_open_again(int fd)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (again >= 0) close(again);
    return again >= 0;
}

/* Returns how many blocks of a stream may be in memory: one for each command, and at least two that are read ahead. One
 * of these two waits, and one is being read. */
static unsigned places_of(const struct block_plan *p)
{
    uint64_t ahead = BLOCK_WAITING_BYTES / (uint64_t)p->size;
    if (ahead > p->slots + 2) ahead = p->slots + 2;
    if (ahead < 2) ahead = 2;
    return p->slots + (unsigned)ahead;
}

bool block_source_init(struct block_source *s, int fd, const struct block_plan *p, const char **why)
{
    *s = (struct block_source){0};
    s->is_file = !p->records && !p->group && can_open_again(fd) && block_file_init(&s->file, fd, &p->ends);
    if (s->is_file) {
        s->file.max = p->size > 0 ? (uint64_t)p->size : 0;
        s->file.shares = p->size < 0 ? (uint64_t)-p->size * p->slots : 0;
        *why = s->file.fault;
        s->file.head = p->header;
        return !block_header_given(&p->header) || block_file_take_header(&s->file);
    }
    *why = p->part       ? "the input must be a file or a disk that can be opened again. For a stream, use --pipe"
           : p->size < 0 ? "a number of blocks needs a file, because the length of a stream is not known"
                         : "a block of a stream has at most 1 GiB";
    if (p->part || p->size < 0 || p->size > BLOCK_STREAM_BYTES) return false;
    s->stream.fd = fd;
    s->stream.cut = (struct block_cut){
        .ends = p->ends, .max = (size_t)p->size, .records = p->records * (p->group ? p->group : 1), .group = p->group};
    s->stream.places_max = places_of(p);
    s->stream.head = p->header;
    block_stream_init(&s->stream);
    return true;
}

void block_source_release(struct block_source *s)
{
    block_file_release(&s->file);
    block_stream_release(&s->stream);
    *s = (struct block_source){0};
}

enum block_step block_source_next(struct block_source *s, struct input_block *b)
{
    return s->is_file ? block_file_next(&s->file, b) : block_stream_next(&s->stream, b);
}

bool block_source_has_place(const struct block_source *s)
{
    return s->is_file || block_stream_has_place(&s->stream);
}

void block_source_free(struct block_source *s, uint64_t offset)
{
    if (!s->is_file) block_stream_free(&s->stream, offset);
}

uint64_t block_source_bytes(const struct block_source *s)
{
    return s->is_file ? s->file.at : s->stream.offset;
}

const char *block_source_fault(const struct block_source *s)
{
    const char *fault = s->is_file ? s->file.fault : s->stream.fault;
    return fault[0] ? fault : NULL;
}

void block_source_add_header(const struct block_source *s, struct buf *place)
{
    const struct block_file *f = &s->file;
    if (s->is_file && f->header_len)
        buf_addf(place, "%llu:%llu", (unsigned long long)f->header_at, (unsigned long long)f->header_len);
}

void block_source_add_path(const struct block_source *s, struct buf *path)
{
    buf_addf(path, "/proc/%d/fd", (int)getpid());
    if (s->is_file) buf_addf(path, "/%d", s->file.fd);
}
