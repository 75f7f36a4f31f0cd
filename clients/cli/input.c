#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* How many of the len bytes at p, len a multiple of 16, are newlines; with skip_blank only those with another byte than
 * a newline before them, p[-1] included. This runs over all input. */
static uint64_t count_blocks(const char *p, size_t len, bool skip_blank)
{
    uint64_t lines = 0;
#ifdef __SSE2__
    const __m128i newline = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
    const __m128i blank = _mm_set1_epi8(skip_blank ? -1 : 0);
    while (len > 0) {
        __m128i counts = zero; /* at most 255 in each byte */
        for (unsigned round = 0; round < 255 && len > 0; round++, p += 16, len -= 16) {
            __m128i here = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), newline);
            __m128i before = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p - 1)), newline);
            counts = _mm_sub_epi8(counts, _mm_andnot_si128(_mm_and_si128(before, blank), here));
        }
        __m128i sums = _mm_sad_epu8(counts, zero);
        lines += (uint64_t)_mm_cvtsi128_si64(sums) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums));
    }
#else
    for (; len > 0; p++, len--) lines += *p == '\n' && !(skip_blank && p[-1] == '\n');
#endif
    return lines;
}

/* How many lines end in the bytes; with skip_blank only those that have bytes before their newline. */
static uint64_t count_lines(const char *data, size_t len, bool skip_blank, bool *last_was_newline)
{
    if (len == 0) return 0;
    uint64_t lines = data[0] == '\n' && !(skip_blank && *last_was_newline);
    size_t blocks = (len - 1) / 16 * 16;
    lines += count_blocks(data + 1, blocks, skip_blank);
    for (size_t i = 1 + blocks; i < len; i++) lines += data[i] == '\n' && !(skip_blank && data[i - 1] == '\n');
    *last_was_newline = data[len - 1] == '\n';
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
