#include "protocol/value_scan.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

void value_scan_begin(struct value_scan *v, size_t begin)
{
    v->state = VALUE_SCAN_INSIDE;
    v->begin = v->end = begin;
    json_scan_init(&v->json, LIMIT_JSON_DEPTH);
}

void value_scan_feed(struct value_scan *v, const char *line, size_t len)
{
    size_t used;
    if (v->state != VALUE_SCAN_INSIDE || v->end >= len) return;
    enum json_scan_status status = json_scan_feed(&v->json, line + v->end, len - v->end, &used);
    v->end += used;
    if (status == JSON_SCAN_WHOLE) v->state = VALUE_SCAN_WHOLE;
    if (status == JSON_SCAN_ERROR) v->state = VALUE_SCAN_BAD;
}

bool value_scan_finish(struct value_scan *v, const char *line, size_t len, const char *close, const char **body,
                       size_t *body_len)
{
    value_scan_feed(v, line, len);
    if (v->state == VALUE_SCAN_INSIDE && json_scan_finish(&v->json) == JSON_SCAN_WHOLE) v->state = VALUE_SCAN_WHOLE;
    if (v->state != VALUE_SCAN_WHOLE) return false;
    size_t at = v->end, close_len = strlen(close);
    while (at < len && is_space(line[at])) at++;
    if (len - at < close_len || memcmp(line + at, close, close_len) != 0) return false;
    for (at += close_len; at < len; at++)
        if (!is_space(line[at])) return false;
    for (at = v->begin; is_space(line[at]);) at++;
    *body = line + at;
    *body_len = v->end - at;
    return true;
}
