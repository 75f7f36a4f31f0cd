#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits.h"

#define FIRST_TARGET (64u << 10)
#define LAST_TARGET  (2u << 20)
#define READ_BYTES   (256u << 10)
#define LINE_CAP     (LIMIT_ITEM_BYTES + 1024)

void input_init(struct input *in, int fd, bool skip_blank)
{
    struct stat st;
    *in = (struct input){.fd = fd, .skip_blank = skip_blank, .target = FIRST_TARGET, .last_was_newline = true};
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) in->file_size = (uint64_t)st.st_size;
    fcntl(fd, F_SETPIPE_SZ, 1 << 20);
}

void input_release(struct input *in)
{
    free(in->filling.data);
    *in = (struct input){.fd = -1, .ended = true};
}

bool input_wants_bytes(const struct input *in)
{
    return !in->ended && (in->cut == 0 || in->filling.len < in->target);
}

static void reserve(struct batch *b, size_t extra)
{
    if (b->alloc - b->len >= extra) return;
    size_t alloc = b->alloc + b->alloc / 2;
    b->alloc = alloc > b->len + extra ? alloc : b->len + extra;
    b->data = xrealloc(b->data, b->alloc);
}

#define LOW7 UINT64_C(0x7f7f7f7f7f7f7f7f)
#define ONES UINT64_C(0x0101010101010101)

/* The high bit of each byte of x that is a newline. */
static uint64_t newline_bits(uint64_t x)
{
    x ^= ONES * '\n';
    return ~(((x & LOW7) + LOW7) | x | LOW7);
}

/* How many lines end in the bytes; with skip_blank only those that have bytes before their newline. Eight bytes at a
 * time: this runs over all input. */
static uint64_t count_lines(const char *data, size_t len, bool skip_blank, bool *last_was_newline)
{
    uint64_t lines = 0, carry = *last_was_newline ? 0x80 : 0;
    size_t i = 0;
    while (i + 8 <= len) {
        uint64_t sums = 0;
        for (unsigned round = 0; round < 255 && i + 8 <= len; round++, i += 8) {
            uint64_t x;
            memcpy(&x, data + i, 8);
            uint64_t bits = newline_bits(x);
            uint64_t before = bits << 8 | carry;
            carry = bits >> 56;
            sums += (skip_blank ? bits & ~before : bits) >> 7;
        }
        /* Each byte of sums is at most 255: added up in pairs first, as the total passes a byte. */
        uint64_t pairs = (sums & UINT64_C(0x00ff00ff00ff00ff)) + (sums >> 8 & UINT64_C(0x00ff00ff00ff00ff));
        lines += (pairs * UINT64_C(0x0001000100010001)) >> 48;
    }
    bool before = carry != 0;
    for (; i < len; i++) {
        bool newline = data[i] == '\n';
        lines += newline && !(skip_blank && before);
        before = newline;
    }
    *last_was_newline = before;
    return lines;
}

static void bytes_came(struct input *in, size_t n)
{
    struct batch *b = &in->filling;
    char *fresh = b->data + b->len, *last = memrchr(fresh, '\n', n);
    uint64_t lines = count_lines(fresh, n, in->skip_blank, &in->last_was_newline);
    b->len += n;
    in->bytes += n;
    in->lines += lines;
    b->lines += lines;
    if (last) {
        in->cut = (size_t)(last + 1 - b->data);
        in->cut_lines = b->lines;
    } else if (in->cut == 0 && b->len > LINE_CAP) {
        in->too_long = in->ended = true;
    }
}

/* The last line may lack its newline. */
static void end_came(struct input *in)
{
    struct batch *b = &in->filling;
    in->ended = true;
    if (b->len == in->cut) return;
    reserve(b, 1);
    b->data[b->len] = '\n';
    bytes_came(in, 1);
    in->bytes--;
}

void input_read(struct input *in, uint64_t now)
{
    struct batch *b = &in->filling;
    reserve(b, READ_BYTES);
    ssize_t n = read(in->fd, b->data + b->len, b->alloc - b->len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0) in->error = errno;
    in->read_ns = now;
    if (n > 0)
        bytes_came(in, (size_t)n);
    else
        end_came(in);
}

bool input_has_batch(const struct input *in, bool idle, uint64_t now)
{
    if (in->cut == 0) return false;
    return idle || in->ended || in->filling.len >= in->target || now - in->read_ns >= INPUT_QUIET_MS * NS_PER_MS;
}

int input_timeout_ms(const struct input *in, uint64_t now)
{
    if (in->cut == 0) return -1;
    uint64_t due = in->read_ns + INPUT_QUIET_MS * NS_PER_MS;
    return due > now ? (int)((due - now) / NS_PER_MS) + 1 : 0;
}

void input_cut(struct input *in, struct batch *b)
{
    struct batch next = {.data = b->data, .alloc = b->alloc};
    size_t rest = in->filling.len - in->cut;
    reserve(&next, rest);
    if (rest) memcpy(next.data, in->filling.data + in->cut, rest);
    next.len = rest;
    if (in->filling.len >= in->target && in->target < LAST_TARGET) in->target *= 2;
    *b = in->filling;
    b->len = in->cut;
    b->lines = in->cut_lines;
    in->filling = next;
    in->cut = 0;
    in->cut_lines = 0;
}

bool input_is_empty(const struct input *in)
{
    return in->ended && in->cut == 0;
}

size_t batch_seek(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset)
{
    if (index < *at) *at = *offset = 0;
    while (*offset < b->len) {
        const char *line = b->data + *offset;
        bool item = !skip_blank || *line != '\n';
        if (item && *at == index) break;
        const char *newline = memchr(line, '\n', b->len - *offset);
        *offset = newline ? (size_t)(newline + 1 - b->data) : b->len;
        *at += item;
    }
    return *offset;
}
