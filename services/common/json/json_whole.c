/* Reads texts that are completely in memory. */
#include "common/json/json_bytes.h"
#include "common/json/json_scan.h"

bool json_valid(const char *data, size_t len, size_t *offset, const char **error)
{
    if (len == 0) data = ""; /* `data` may be NULL */
    const char *end = data + len;
    const char *p = plain_scalar_end(skip_space(data, end), end);
    if (!p) {
        struct json_scan s;
        json_scan_init(&s, LIMIT_JSON_DEPTH);
        enum json_scan_status status = json_scan_feed(&s, data, len, offset);
        if (status == JSON_SCAN_MORE) status = json_scan_finish(&s);
        if (status != JSON_SCAN_WHOLE) {
            *error = s.error;
            return false;
        }
        p = data + *offset;
    }
    p = skip_space(p, end);
    if (p == end) return true;
    *offset = (size_t)(p - data);
    *error = "nothing was expected after the value";
    return false;
}

size_t json_value_length(const char *data, size_t len)
{
    if (len == 0 || is_space(*data)) return 0;
    const char *p = plain_scalar_end(data, data + len);
    if (p) return (size_t)(p - data);
    struct json_scan s;
    json_scan_init(&s, LIMIT_JSON_DEPTH);
    size_t used;
    enum json_scan_status status = json_scan_feed(&s, data, len, &used);
    if (status == JSON_SCAN_MORE) status = json_scan_finish(&s);
    return status == JSON_SCAN_WHOLE ? used : 0;
}
