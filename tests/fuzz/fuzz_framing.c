/* Fuzzes the reader of raw HTTP. The reader must not access bytes outside of a piece, and must give the same result
 * however the input is cut into pieces. If the forwarded bytes are read again, they must be forwarded unchanged, with
 * the same number of messages. */
#include "common/http_server/http_framing.h"

#include <string.h>

#include "common/base/buf.h"
#include "fuzz_pieces.h"

static void check_piece(const struct http_framing *f, size_t len, size_t kept, size_t whole)
{
    if (kept > len || whole > kept) BUG("%zu whole bytes, %zu kept bytes, a piece of %zu bytes", whole, kept, len);
    if (http_framing_is_faulty(f) != (f->status != 0) || (f->status != 0) != (f->fault != NULL))
        BUG("a fault without a status or a reason");
}

/* Reads the data in pieces of `piece` bytes; 0: pieces of varying sizes. */
static void read_all(struct http_framing *f, const char *data, size_t len, size_t piece, struct buf *out)
{
    uint32_t seed = (uint32_t)len;
    *f = (struct http_framing){0};
    for (size_t at = 0, size; at < len; at += size) {
        size_t whole, left = len - at;
        size = piece == 0 ? fuzz_piece(&seed, left) : piece < left ? piece : left;
        char *copy = fuzz_copy(data + at, size);
        size_t kept = http_framing_feed(f, copy, size, &whole);
        check_piece(f, size, kept, whole);
        buf_add(out, copy, kept);
        free(copy);
    }
}

static void assert_same(const struct http_framing *a, const struct buf *x, const struct http_framing *b,
                        const struct buf *y)
{
    if (a->state != b->state || a->status != b->status || a->messages != b->messages || a->heads != b->heads)
        BUG("read differently: states %d and %d", a->state, b->state);
    if (x->len != y->len || (x->len && memcmp(x->data, y->data, x->len) != 0)) BUG("other bytes were forwarded");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_framing once, bytes, pieces, again;
    struct buf a = {0}, b = {0}, c = {0}, d = {0};
    read_all(&once, (const char *)data, size, size, &a);
    read_all(&bytes, (const char *)data, size, 1, &b);
    read_all(&pieces, (const char *)data, size, 0, &c);
    assert_same(&once, &a, &bytes, &b);
    assert_same(&once, &a, &pieces, &c);
    read_all(&again, a.data ? a.data : "", a.len, a.len, &d);
    if (http_framing_is_faulty(&again)) BUG("forwarded a fault: %s", again.fault);
    if (again.messages != once.messages || again.heads != once.heads) BUG("the forwarded bytes have other messages");
    if (d.len != a.len || (a.len && memcmp(a.data, d.data, a.len) != 0)) BUG("reading them again changes the bytes");
    buf_release(&a), buf_release(&b), buf_release(&c), buf_release(&d);
    return 0;
}
