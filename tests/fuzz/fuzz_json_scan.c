/* The scanner says the same of a text in one piece, byte by byte, and by its fast path. */
#include "json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum json_scan_status scan(const char *text, size_t len, size_t piece, size_t *end)
{
    struct json_scan s;
    json_scan_init(&s, LIMIT_JSON_DEPTH);
    for (size_t at = 0; at < len;) {
        size_t used, n = len - at < piece ? len - at : piece;
        enum json_scan_status status = json_scan_feed(&s, text + at, n, &used);
        if (used > n) BUG("used %zu of %zu bytes", used, n);
        *end = at + used;
        if (status != JSON_SCAN_MORE) return status;
        if (used != n) BUG("wants more but left %zu bytes", n - used);
        at += n;
    }
    *end = len;
    return json_scan_finish(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xmalloc(size + 1); /* its own block, so that a read past the end is seen */
    if (size) memcpy(text, data, size);
    text = xrealloc(text, size ? size : 1);
    size_t whole_end = 0, bytes_end = 0, fault;
    const char *error = NULL;
    enum json_scan_status whole = scan(text, size, size + 1, &whole_end);
    enum json_scan_status bytes = scan(text, size, 1, &bytes_end);
    if (whole != bytes || whole_end != bytes_end)
        BUG("in one piece %d at %zu, in bytes %d at %zu", (int)whole, whole_end, (int)bytes, bytes_end);

    bool valid = json_valid(text, size, &fault, &error);
    if (!valid && (!error || fault > size)) BUG("no reason, or a fault at %zu of %zu", fault, size);
    if (valid && whole != JSON_SCAN_WHOLE) BUG("valid by the fast path only");
    if (whole == JSON_SCAN_WHOLE && whole_end == size && !valid) BUG("valid by the scanner only");
    size_t len = json_value_length(text, size);
    if (len > size) BUG("a value longer than the text");
    if (len && !json_valid(text, len, &fault, &error)) BUG("json_value_length() of what is no value");
    free(text);
    return 0;
}
