/* Fuzzes the splitter. A body in pieces must give the same items, options and errors as the whole body, and every item
 * must be valid JSON. The first byte of the input determines the format, the depth, and whether lines have options
 * before them. The second byte determines the sizes of the pieces. */
#include "coordinator/items/splitter.h"
#include "fuzz/fuzz_pieces.h"

static enum split_status split_whole(struct splitter *s, const char *data, size_t len)
{
    enum split_status status = splitter_feed(s, data, len);
    return status == SPLIT_OK ? splitter_finish(s) : status;
}

static enum split_status split_pieces(struct splitter *s, const char *data, size_t len, uint32_t seed)
{
    enum split_status status = SPLIT_OK;
    for (size_t at = 0; at < len && status == SPLIT_OK;) {
        size_t n = fuzz_piece(&seed, len - at);
        char *piece = fuzz_copy(data + at, n);
        status = splitter_feed(s, piece, n);
        free(piece);
        at += n;
    }
    return status == SPLIT_OK ? splitter_finish(s) : status;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void check_items(const struct splitter *s)
{
    size_t offset, at = 0;
    const char *why;
    uint64_t count = 0;
    while (at < s->items.len) {
        uint64_t one;
        size_t n = lines_cut(s->items.data + at, s->items.len - at, 1, SIZE_MAX, &one);
        if (one != 1 || !json_valid(s->items.data + at, n - 1, &offset, &why)) BUG("an item is not valid");
        if (memchr(s->items.data + at, '\r', n)) BUG("an item with a line break");
        at += n;
        count++;
    }
    if (count != s->item_count || count != s->items_in_buf) BUG("items are miscounted");
    if (!json_valid(s->options.data, s->options.len, &offset, &why)) BUG("the options are not valid");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2) return 0;
    enum split_format format = (enum split_format)(bytes[0] % 3);
    uint32_t seed = bytes[1];
    unsigned max_depth = bytes[0] & 0x80 ? 3 : 0;
    char *data = fuzz_copy((const char *)bytes + 2, size - 2);
    struct splitter whole, pieces;
    splitter_init(&whole, format, max_depth);
    splitter_init(&pieces, format, max_depth);
    if (format != SPLIT_JOB && bytes[0] & 0x40) {
        splitter_expect_options(&whole);
        splitter_expect_options(&pieces);
    }
    enum split_status status = split_whole(&whole, data, size - 2);
    if (split_pieces(&pieces, data, size - 2, seed) != status) BUG("pieces and the whole disagree");
    if (!same_bytes(&whole.items, &pieces.items)) BUG("pieces give other items");
    if (!same_bytes(&whole.options, &pieces.options)) BUG("pieces give other options");
    check_items(&whole);
    if (status != SPLIT_OK) {
        if (whole.error.offset != pieces.error.offset) BUG("faults at other places");
        if (strcmp(whole.error.pointer, pieces.error.pointer) != 0) BUG("faults with other pointers");
        if (whole.error.phrase != pieces.error.phrase) BUG("other faults");
        if (whole.error.offset > size - 2) BUG("a fault beyond the body");
    }
    splitter_release(&whole);
    splitter_release(&pieces);
    free(data);
    return 0;
}
