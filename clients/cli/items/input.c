#include "cli/items/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/limits.h"
#include "common/json/json_scan.h"

#define FIRST_TARGET  (64u << 10)
#define LAST_TARGET   (2u << 20)
#define READ_BYTES    (256u << 10)
#define ROWS_BYTES    (64u << 10) /* like READ_BYTES, for rows, which need much room */
#define COUNTED_BYTES (256 * MIB) /* a larger file is not read only to count its lines */
#define LINE_CAP      (LIMIT_ITEM_BYTES + 1024)
#define SHOWN_BYTES   200u /* the bytes that are kept of a line longer than LINE_CAP */

void input_init(struct input *in, struct input_source *source, enum input_form form)
{
    struct stat st;
    *in = (struct input){.source = source,
                         .form = form,
                         .begun = form == INPUT_NULLS || form == INPUT_NULL_ROWS || source->raw,
                         .rows = {.form = form, .raw = source->raw, .skip = source->skip},
                         .skip_blank = form == INPUT_JSON || form == INPUT_JSON_ROWS,
                         .target = FIRST_TARGET,
                         .last_was_newline = true};
    if (source->has_records) {
        source->records.maker.skip = source->skip;
    } else if (source->has_lists) {
        source->lists.skip = source->skip;
        in->items = item_lists_items(&source->lists);
    } else if (!input_form_has_rows(form) && !source->has_blocks) {
        in->filter = (struct line_filter){.done = source->skip, .skip_blank = in->skip_blank};
    }
    off_t start = lseek(source->fd, 0, SEEK_CUR);
    if (fstat(source->fd, &st) == 0 && S_ISREG(st.st_mode) && start >= 0 && start < st.st_size) {
        in->file_start = (uint64_t)start;
        in->file_size = (uint64_t)(st.st_size - start);
    }
    fcntl(source->fd, F_SETPIPE_SZ, 1 << 20);
}

void input_release(struct input *in)
{
    free(in->filling.data);
    *in = (struct input){.ended = true};
}

bool input_wants_bytes(const struct input *in)
{
    return !in->ended && !in->filling.too_long && (in->cut == 0 || in->filling.len < in->target);
}

/* What count_lines() finds in a piece of the input. */
struct line_counts {
    uint64_t newlines; /* all newlines */
    uint64_t empty;    /* newlines right after another newline: each ends an empty line */
    bool indented;     /* a line begins with white space */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void count_byte(char before, char c, struct line_counts *counts)
{
    counts->newlines += c == '\n';
    counts->empty += c == '\n' && before == '\n';
    counts->indented |= before == '\n' && is_space(c);
}

#ifdef __SSE2__
static uint64_t sum_bytes(__m128i bytes)
{
    __m128i sums = _mm_sad_epu8(bytes, _mm_setzero_si128());
    return (uint64_t)_mm_cvtsi128_si64(sums) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums));
}

static __m128i equals(__m128i bytes, char c)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}
#endif

/* Adds the counts for the `len` bytes at p to *counts. Also reads p[-1]. `len` is a multiple of 16. All input goes
 * through this function, so it must be fast. */
static void count_blocks(const char *p, size_t len, struct line_counts *counts)
{
#ifdef __SSE2__
    __m128i indented = _mm_setzero_si128();
    while (len > 0) {
        __m128i newlines = _mm_setzero_si128(), empty = newlines; /* each byte counts up to 255 */
        for (unsigned round = 0; round < 255 && len > 0; round++, p += 16, len -= 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p), here = equals(bytes, '\n');
            __m128i after = equals(_mm_loadu_si128((const __m128i *)(const void *)(p - 1)), '\n');
            __m128i space = _mm_or_si128(_mm_or_si128(equals(bytes, ' '), equals(bytes, '\t')), equals(bytes, '\r'));
            newlines = _mm_sub_epi8(newlines, here);
            empty = _mm_sub_epi8(empty, _mm_and_si128(here, after));
            indented = _mm_or_si128(indented, _mm_and_si128(space, after));
        }
        counts->newlines += sum_bytes(newlines);
        counts->empty += sum_bytes(empty);
    }
    counts->indented |= _mm_movemask_epi8(indented) != 0;
#else
    for (; len > 0; p++, len--) count_byte(p[-1], *p, counts);
#endif
}

/* Like count_blocks(), for any len. A piece that has no newline and does not begin directly after one is skipped.
 * memchr() finds such pieces quickly. In input with long lines, most pieces are skipped. */
static void count_bytes(const char *p, size_t len, struct line_counts *counts)
{
    enum { STEP = 4096 };
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < STEP ? len - at : STEP;
        if (p[at - 1] != '\n' && !memchr(p + at, '\n', n)) continue;
        size_t blocks = n / 16 * 16;
        count_blocks(p + at, blocks, counts);
        for (size_t i = at + blocks; i < at + n; i++) count_byte(p[i - 1], p[i], counts);
    }
}

/* `before` is a newline if a line begins at `data`, and otherwise any other byte. */
static struct line_counts count_lines(char before, const char *data, size_t len)
{
    struct line_counts counts = {0};
    if (len == 0) return counts;
    count_byte(before, data[0], &counts);
    count_bytes(data + 1, len - 1, &counts);
    return counts;
}

void input_count_file(struct input *in)
{
    static char data[READ_BYTES];
    const struct input_source *s = in->source;
    bool nulls = in->form == INPUT_NULLS || in->form == INPUT_NULL_ROWS;
    if (in->file_lines || in->file_size > COUNTED_BYTES || nulls || s->has_lists || s->has_records || s->has_blocks)
        return;
    uint64_t at = 0, lines = 0;
    char before = '\n';
    while (at < in->file_size) {
        ssize_t n = pread(s->fd, data, sizeof data, (off_t)(in->file_start + at));
        if (n <= 0) return;
        struct line_counts counts = count_lines(before, data, (size_t)n);
        lines += counts.newlines - (in->skip_blank ? counts.empty : 0);
        before = data[n - 1];
        at += (uint64_t)n;
    }
    in->file_lines = lines + (before != '\n');
}

/* Call it when `filling` is the beginning of a line that is too long. The first SHOWN_BYTES of the line become a batch.
 */
static void give_up_line(struct input *in)
{
    struct batch *b = &in->filling;
    b->len = SHOWN_BYTES;
    b->data[b->len++] = '\n';
    b->lines = b->newlines = in->cut_lines = 1;
    b->too_long = in->dropping = true;
    in->cut = b->len;
    in->lines++;
}

/* Call it when n bytes were read after the end of `filling`. Drops the bytes of the line that is too long, and keeps
 * the bytes after its end. Returns how many bytes are kept. */
static size_t drop_line(struct input *in, size_t n)
{
    char *fresh = in->filling.data + in->filling.len, *newline = memchr(fresh, '\n', n);
    in->dropping = newline == NULL;
    if (!newline) return 0;
    size_t rest = n - (size_t)(newline + 1 - fresh);
    memmove(fresh, newline + 1, rest);
    in->last_was_newline = true;
    return rest;
}

static void bytes_came(struct input *in, size_t n)
{
    struct batch *b = &in->filling;
    char *fresh = b->data + b->len, *last = memrchr(fresh, '\n', n);
    struct line_counts counts = count_lines(in->last_was_newline ? '\n' : 0, fresh, n);
    uint64_t lines = counts.newlines - (in->skip_blank ? counts.empty : 0);
    in->last_was_newline = fresh[n - 1] == '\n';
    b->len += n;
    in->bytes += n;
    in->lines += lines;
    b->lines += lines;
    b->newlines += counts.newlines;
    b->indented = b->indented || counts.indented;
    if (last) {
        in->cut = (size_t)(last + 1 - b->data);
        in->cut_lines = b->lines;
    } else if (in->cut == 0 && b->len > LINE_CAP) {
        give_up_line(in);
    }
}

size_t input_encode_nulls(const char *data, size_t len, bool *in_text, char *out)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    char *to = out;
    for (size_t at = 0; at < len;) {
        if (!*in_text) *to++ = '"';
        *in_text = true;
        size_t plain = json_text_length(data + at, len - at);
        to = (char *)mempcpy(to, data + at, plain);
        at += plain;
        if (at == len) break;
        unsigned char c = (unsigned char)data[at++];
        const char *name = c ? strchr(named, c) : NULL;
        if (c == 0) {
            to = (char *)mempcpy(to, "\"\n", 2);
            *in_text = false;
        } else if (name) {
            *to++ = '\\';
            *to++ = letters[name - named];
        } else if (c < 0x20) {
            to = (char *)mempcpy(to, "\\u00", 4);
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        } else {
            *to++ = (char)c;
        }
    }
    return (size_t)(to - out);
}

/* Handles the end of the input. Adds a newline if the last line has none. */
static void end_came(struct input *in)
{
    struct batch *b = &in->filling;
    in->ended = true;
    batch_reserve(b, 4);
    if (input_form_has_rows(in->form)) b->len += row_encoder_end(&in->rows, b->data + b->len);
    if (in->in_text && !line_filter_drops(&in->filter)) b->data[b->len++] = '"';
    if (b->len == in->cut) return;
    b->data[b->len] = '\n';
    bytes_came(in, 1);
    in->bytes--;
}

/* Reads bytes into the memory after the data of `filling`, without changing filling.len. */
static ssize_t read_bytes(struct input *in)
{
    static char nulls[READ_BYTES];
    struct batch *b = &in->filling;
    bool encode = in->form == INPUT_NULLS;
    batch_reserve(b, in->head + (encode ? INPUT_NULLS_ROOM(READ_BYTES) : READ_BYTES));
    if (!encode) return input_source_read(in->source, b->data + b->len + in->head, b->alloc - b->len - in->head);
    ssize_t n = input_source_read(in->source, nulls, sizeof(nulls));
    return n > 0 ? (ssize_t)input_encode_nulls(nulls, (size_t)n, &in->in_text, b->data + b->len) : n;
}

/* Call it when n more bytes of the beginning of the input have been read. `start` points to the first byte of the
 * input. Returns how many bytes have been read so far, without the byte order mark. Returns 0 while more bytes are
 * needed to determine the encoding, and if the encoding is UTF-16 or UTF-32. */
static ssize_t begin(struct input *in, char *start, ssize_t n)
{
    in->head += n > 0 ? (size_t)n : 0;
    if (n > 0 && encoding_needs_more(start, in->head)) return 0;
    in->begun = true;
    in->encoding = encoding_of(start, in->head);
    size_t mark = encoding_is_wide(in->encoding) ? in->head : encoding_mark_bytes(in->encoding), rest = in->head - mark;
    memmove(start, start + mark, rest);
    in->head = 0;
    in->bytes += mark;
    return (ssize_t)rest;
}

/* Reads bytes and writes them as rows after the data of `filling`, without changing filling.len. Returns the number of
 * bytes of the rows; -1: no bytes can be read now. *over becomes true if the input has ended or its encoding cannot be
 * used. */
static ssize_t read_rows(struct input *in, bool *over)
{
    static char raw[ROWS_BYTES + ENCODING_BYTES];
    memcpy(raw, in->head_bytes, in->head);
    ssize_t n = input_source_read(in->source, raw + in->head, ROWS_BYTES);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return -1;
    if (n < 0) in->error = errno;
    *over = n <= 0;
    if (n > 0) in->bytes += (size_t)n;
    if (!in->begun) {
        n = begin(in, raw, n);
        *over = *over || encoding_is_wide(in->encoding);
        memcpy(in->head_bytes, raw, in->head);
    }
    if (n <= 0) return 0;
    batch_reserve(&in->filling, ROW_ENCODER_ROOM((size_t)n));
    return (ssize_t)row_encoder_add(&in->rows, raw, (size_t)n, in->filling.data + in->filling.len);
}

static void read_as_rows(struct input *in, uint64_t now)
{
    bool over = false;
    ssize_t n = read_rows(in, &over);
    if (n < 0) return;
    in->read_ns = now;
    uint64_t bytes = in->bytes;
    size_t kept = n > 0 && in->dropping ? drop_line(in, (size_t)n) : (size_t)n;
    if (kept) bytes_came(in, kept);
    if (over) end_came(in);
    in->bytes = bytes;
}

void input_read(struct input *in, uint64_t now)
{
    if (input_form_has_rows(in->form)) {
        read_as_rows(in, now);
        return;
    }
    ssize_t n = read_bytes(in);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0) in->error = errno;
    in->read_ns = now;
    bool over = n <= 0;
    if (!in->begun) {
        n = begin(in, in->filling.data, n);
        over = over || encoding_is_wide(in->encoding);
        if (n == 0 && !over) return;
    }
    size_t came = n > 0 ? (size_t)n : 0, left = line_filter_keep(&in->filter, in->filling.data + in->filling.len, came);
    in->bytes += came - left;
    size_t kept = left && in->dropping ? drop_line(in, left) : left;
    if (kept) bytes_came(in, kept);
    if (over) end_came(in);
    if (in->source->has_records || in->source->has_blocks) in->bytes = input_source_bytes(in->source);
}

bool input_has_batch(const struct input *in, bool idle, uint64_t now)
{
    if (in->cut == 0) return false;
    return idle || in->ended || in->filling.too_long || input_source_is_eager(in->source) ||
           in->filling.len >= in->target || now - in->read_ns >= INPUT_QUIET_MS * NS_PER_MS;
}

int input_timeout_ms(const struct input *in, uint64_t now)
{
    if (in->cut == 0) return -1;
    uint64_t due = in->read_ns + INPUT_QUIET_MS * NS_PER_MS;
    return due > now ? (int)((due - now) / NS_PER_MS) + 1 : 0;
}

/* If the lines of batches are lines of the input, sets b->first_line to the number of the batch's first line in the
 * input. */
static void number_lines(struct input *in, struct batch *b)
{
    const struct input_source *s = in->source;
    if (in->form == INPUT_NULLS || in->form == INPUT_NULL_ROWS || s->has_lists || s->has_records || s->has_blocks ||
        s->skip)
        return;
    b->first_line = in->lines_cut + 1;
    in->lines_cut += b->newlines;
}

void input_limit_batches(struct input *in, size_t max_bytes)
{
    in->batch_max = max_bytes;
    if (in->target > max_bytes) in->target = max_bytes;
}

void input_cut(struct input *in, struct batch *b)
{
    struct batch next = {.data = b->data, .alloc = b->alloc};
    size_t rest = in->filling.len - in->cut;
    batch_reserve(&next, rest);
    if (rest) memcpy(next.data, in->filling.data + in->cut, rest);
    next.len = rest;
    next.indented = in->filling.indented; /* the bytes after the cut may have such a line */
    if (in->filling.len >= in->target && in->target < LAST_TARGET) in->target *= 2;
    if (in->batch_max && in->target > in->batch_max) in->target = in->batch_max;
    *b = in->filling;
    b->len = in->cut;
    b->lines = in->cut_lines;
    number_lines(in, b);
    in->filling = next; /* in `next`, too_long is false */
    in->cut = 0;
    in->cut_lines = 0;
}

void input_cut_some(struct input *in, struct batch *b, uint64_t items_max)
{
    struct batch part = {.data = in->filling.data, .len = in->cut};
    size_t all = in->cut, offset = 0;
    uint64_t lines = in->cut_lines, at = 0;
    if (items_max) part.len = batch_seek(&part, in->skip_blank, items_max, &at, &offset);
    if (in->batch_max && part.len > in->batch_max) {
        at = 0;
        part.len = batch_piece(&part, in->skip_blank, 0, in->batch_max, &at);
    }
    if (part.len >= all) {
        input_cut(in, b);
        return;
    }
    uint64_t newlines = in->filling.newlines;
    in->cut = part.len;
    in->cut_lines = at < lines ? at : lines;
    in->filling.newlines = count_lines('\n', part.data, part.len).newlines;
    input_cut(in, b);
    in->cut = all - part.len;
    in->cut_lines = in->filling.lines = lines - b->lines;
    in->filling.newlines = newlines - b->newlines;
}

bool input_is_empty(const struct input *in)
{
    return in->ended && in->cut == 0;
}
