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
    if (v->state == VALUE_SCAN_WHOLE)
        while (v->after < len && is_space(line[v->after])) v->after++;
    if (v->state != VALUE_SCAN_INSIDE) return;
    if (v->begin == v->end) {
        while (v->begin < len && is_space(line[v->begin])) v->begin++;
        v->end = v->begin;
    }
    if (v->end >= len) return;
    enum json_scan_status status = json_scan_feed(&v->json, line + v->end, len - v->end, &used);
    v->end += used;
    v->after = v->end;
    if (status == JSON_SCAN_WHOLE) v->state = VALUE_SCAN_WHOLE;
    if (status == JSON_SCAN_ERROR) v->state = VALUE_SCAN_BAD;
}

bool value_scan_finish(struct value_scan *v, const char *line, size_t len, const char *close, const char **body,
                       size_t *body_len)
{
    value_scan_feed(v, line, len);
    if (v->state == VALUE_SCAN_INSIDE && json_scan_finish(&v->json) == JSON_SCAN_WHOLE) v->state = VALUE_SCAN_WHOLE;
    if (v->state != VALUE_SCAN_WHOLE) return false;
    value_scan_feed(v, line, len); /* the white space after the value */
    size_t at = v->after, close_len = strlen(close);
    if (len - at < close_len || memcmp(line + at, close, close_len) != 0) return false;
    for (at += close_len; at < len; at++)
        if (!is_space(line[at])) return false;
    *body = line + v->begin;
    *body_len = v->end - v->begin;
    return true;
}
