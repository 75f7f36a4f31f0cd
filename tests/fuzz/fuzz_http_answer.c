/* Fuzzes the reader of HTTP answers. The reader must not read outside of a piece, and must report the same parts of the
 * answer however the input is cut into pieces. */
#include "common/http_client/http_answer.h"

#include <string.h>

#include "fuzz_pieces.h"

static void note(struct buf *out, enum http_answer_part got, const char *part, size_t len)
{
    if (got == HTTP_ANSWER_LINE) buf_add_char(out, '<');
    buf_add(out, part, len);
    if (got == HTTP_ANSWER_LINE) buf_add_char(out, '>');
}

/* Reads the data in pieces of `piece` bytes; 0: pieces of varying sizes. */
static void read_all(const char *data, size_t size, size_t piece, bool to_head, struct buf *out)
{
    struct http_answer a = {0};
    enum http_answer_part got = HTTP_ANSWER_NONE;
    uint32_t seed = (uint32_t)size;
    http_answer_begin(&a, to_head);
    for (size_t at = 0, n; at < size && got == HTTP_ANSWER_NONE; at += n) {
        size_t left = size - at, len = 0;
        n = piece == 0 ? fuzz_piece(&seed, left) : piece < left ? piece : left;
        char *copy = fuzz_copy(data + at, n);
        const char *from = copy, *part = NULL;
        left = n;
        while ((got = http_answer_next(&a, &from, &left, &part, &len)) == HTTP_ANSWER_LINE || got == HTTP_ANSWER_BODY)
            note(out, got, part, len);
        if (from + left != copy + n) BUG("consumed %zd bytes of %zu", from - copy, n);
        if (got == HTTP_ANSWER_NONE && left > 0) BUG("%zu bytes were left", left);
        free(copy);
    }
    if ((got == HTTP_ANSWER_FAULT) != (a.fault != NULL)) BUG("a fault without a reason");
    buf_addf(out, "|%s|%d", a.fault ? a.fault : got == HTTP_ANSWER_END ? "end" : "more", http_answer_ends_here(&a));
    http_answer_release(&a);
}

static void assert_same(struct buf *a, struct buf *b)
{
    if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
        BUG("read differently: %s and %s", buf_cstr(a), buf_cstr(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16 * 1024) return 0; /* a line that is too long may be refused at a byte that depends on the pieces */
    bool to_head = size > 0 && data[size - 1] == 'H';
    struct buf once = {0}, bytes = {0}, pieces = {0};
    read_all((const char *)data, size, size, to_head, &once);
    read_all((const char *)data, size, 1, to_head, &bytes);
    read_all((const char *)data, size, 0, to_head, &pieces);
    assert_same(&once, &bytes);
    assert_same(&once, &pieces);
    buf_release(&once), buf_release(&bytes), buf_release(&pieces);
    return 0;
}
