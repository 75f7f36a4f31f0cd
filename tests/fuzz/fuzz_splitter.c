/* A body splits into the same items and the same fault however its bytes arrive, and every item is JSON. The first byte
 * of the input chooses the format, the second the size of the pieces. */
#include "json_scan.h"
#include "splitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum split_status split(struct splitter *s, enum split_format format, const char *body, size_t len, size_t piece)
{
    enum split_status status = SPLIT_OK;
    splitter_init(s, format, 0);
    for (size_t at = 0; status == SPLIT_OK && at < len; at += piece)
        status = splitter_feed(s, body + at, len - at < piece ? len - at : piece);
    return status == SPLIT_OK ? splitter_finish(s) : status;
}

static void check_items(const struct splitter *s)
{
    uint64_t lines = 0;
    size_t fault;
    const char *error;
    for (const char *at = s->items.data, *end = at + s->items.len; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) BUG("an item without its newline");
        if (!json_valid(at, (size_t)(newline - at), &fault, &error)) BUG("an item that is no JSON: %s", error);
        at = newline + 1;
    }
    if (lines != s->items_in_buf || lines != s->item_count)
        BUG("%llu items counted wrongly", (unsigned long long)lines);
    if (s->options.len && !json_valid(s->options.data, s->options.len, &fault, &error))
        BUG("options that are no JSON: %s", error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    enum split_format format = (enum split_format)(data[0] % 3);
    size_t len = size - 2, piece = 1u + data[1];
    char *body = xmalloc(len ? len : 1);
    memcpy(body, data + 2, len);

    struct splitter whole, pieces;
    enum split_status a = split(&whole, format, body, len, len + 1), b = split(&pieces, format, body, len, piece);
    check_items(&whole);
    check_items(&pieces);
    if (a != b) BUG("status %d in one piece, %d in pieces of %zu", (int)a, (int)b, piece);
    if (whole.items.len != pieces.items.len ||
        (whole.items.len && memcmp(whole.items.data, pieces.items.data, whole.items.len) != 0))
        BUG("other items in pieces of %zu", piece);
    if (a != SPLIT_OK) {
        if (whole.error.offset != pieces.error.offset || strcmp(whole.error.pointer, pieces.error.pointer) != 0)
            BUG("fault at %llu %s, in pieces at %llu %s", (unsigned long long)whole.error.offset, whole.error.pointer,
                (unsigned long long)pieces.error.offset, pieces.error.pointer);
        if (!whole.error.phrase || whole.error.offset > len) BUG("a fault without a reason or beyond the body");
    }
    splitter_release(&whole);
    splitter_release(&pieces);
    free(body);
    return 0;
}
