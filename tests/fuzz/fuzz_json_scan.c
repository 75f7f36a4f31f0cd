/* Fuzzes the JSON scanner. The scanner must give the same result for the whole input and for the input in pieces, and
 * the fast functions must agree with the scanner. */
#include "common/json/json_scan.h"
#include "fuzz/fuzz_pieces.h"

static bool valid_in_pieces(const char *data, size_t len, uint32_t seed, size_t *offset)
{
    struct json_scan s;
    json_scan_init(&s, LIMIT_JSON_DEPTH);
    enum json_scan_status status = JSON_SCAN_MORE;
    size_t at = 0;
    while (at < len && status == JSON_SCAN_MORE) {
        size_t n = fuzz_piece(&seed, len - at), used;
        char *piece = fuzz_copy(data + at, n);
        status = json_scan_feed(&s, piece, n, &used);
        free(piece);
        at += used;
    }
    if (status == JSON_SCAN_MORE) status = json_scan_finish(&s);
    while (status == JSON_SCAN_WHOLE && at < len && data[at] && strchr(" \t\r\n", data[at])) at++;
    *offset = at;
    return status == JSON_SCAN_WHOLE && at == len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2) return 0;
    uint32_t seed = (uint32_t)bytes[0] << 8 | bytes[1];
    size_t len = size - 2, offset = len, piece_offset;
    char *data = fuzz_copy((const char *)bytes + 2, len);
    const char *error = NULL;
    bool valid = json_valid(data, len, &offset, &error);
    if (valid_in_pieces(data, len, seed, &piece_offset) != valid) BUG("pieces and the whole disagree");
    if (!valid && (piece_offset != offset || !error)) BUG("faults at %zu and %zu", offset, piece_offset);

    size_t value = json_value_length(data, len);
    if (value > len || (value && !json_valid(data, value, &offset, &error))) BUG("found a value that is not valid");
    if (valid && len && !strchr(" \t\r\n", data[0]) && !value) BUG("a value was not found");

    size_t text = json_text_length(data, len);
    char *string = xmalloc(text + 2);
    memcpy(string + 1, data, text);
    string[0] = string[text + 1] = '"';
    if (text > len || !json_valid(string, text + 2, &offset, &error)) BUG("text that is not valid in a string");
    free(string);
    free(data);
    return 0;
}
