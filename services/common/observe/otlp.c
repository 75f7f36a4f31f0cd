#include "common/observe/otlp.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

/* Bits of the field `flags`. FLAG_REMOTE_KNOWN: we know whether the parent is remote. FLAG_REMOTE: the parent is
 * remote, that is, in another process. */
#define FLAG_REMOTE_KNOWN 0x100u
#define FLAG_REMOTE       0x200u

#define STATUS_ERROR 2

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_string(out, text, strlen(text));
}

static void add_value(struct buf *out, const struct span_attribute *a)
{
    switch (a->kind) {
    case SPAN_VALUE_STR:
        buf_add_str(out, "\"stringValue\":");
        buf_add_json_string(out, a->str, strlen(a->str));
        break;
    case SPAN_VALUE_INT: buf_addf(out, "\"intValue\":\"%lld\"", (long long)a->number); break;
    case SPAN_VALUE_BOOL: buf_addf(out, "\"boolValue\":%s", a->number ? "true" : "false"); break;
    case SPAN_VALUE_END: break;
    }
}

static void add_attributes(struct buf *out, const struct span_attribute *a)
{
    bool first = true;
    buf_add_str(out, ",\"attributes\":[");
    for (; a->kind != SPAN_VALUE_END; a++) {
        if (a->kind == SPAN_VALUE_STR && !a->str) continue;
        buf_addf(out, "%s{\"key\":\"%s\",\"value\":{", first ? "" : ",", a->key);
        add_value(out, a);
        buf_add_str(out, "}}");
        first = false;
    }
    buf_add_char(out, ']');
}

static void add_ids(struct buf *out, const struct span *s)
{
    char trace_id[TRACE_ID_SIZE], span_id[SPAN_ID_SIZE];
    trace_id_format(&s->context, trace_id);
    span_id_format(s->context.span_id, span_id);
    buf_addf(out, "{\"traceId\":\"%s\",\"spanId\":\"%s\"", trace_id, span_id);
    if (s->parent_id) {
        span_id_format(s->parent_id, span_id);
        buf_addf(out, ",\"parentSpanId\":\"%s\"", span_id);
    }
    if (s->state) add_text(out, "traceState", s->state);
    buf_addf(out, ",\"flags\":%u", s->context.flags | FLAG_REMOTE_KNOWN | (s->parent_is_remote ? FLAG_REMOTE : 0));
}

void otlp_add_span(struct buf *out, const struct span *s, uint64_t unix_offset_ns)
{
    add_ids(out, s);
    add_text(out, "name", s->name);
    uint64_t start = s->start_ns + unix_offset_ns, end = s->end_ns + unix_offset_ns;
    buf_addf(out, ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64 "\"",
             (int)s->kind, start, end);
    if (s->attributes) add_attributes(out, s->attributes);
    if (s->failed) {
        buf_addf(out, ",\"status\":{\"code\":%d", STATUS_ERROR);
        if (s->failure) add_text(out, "message", s->failure);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

void otlp_add_resource(struct buf *out, const char *key, const char *value)
{
    buf_add_str(out, out->len ? ",{\"key\":" : "{\"key\":");
    buf_add_json_string(out, key, strlen(key));
    buf_add_str(out, ",\"value\":{\"stringValue\":");
    buf_add_json_string(out, value, strlen(value));
    buf_add_str(out, "}}");
}

void otlp_begin(struct buf *out, const char *resource, size_t resource_len)
{
    buf_add_str(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    buf_add(out, resource, resource_len);
    buf_add_str(out,
                "]},\"scopeSpans\":[{\"scope\":{\"name\":\"fantail\",\"version\":\"" FANTAIL_VERSION "\"},\"spans\":[");
}

void otlp_end(struct buf *out)
{
    buf_add_str(out, "]}]}]}");
}

uint64_t otlp_rejected(const char *answer, size_t len)
{
    cJSON *root = cJSON_ParseWithLength(answer, len);
    const cJSON *partial = cJSON_GetObjectItemCaseSensitive(root, "partialSuccess");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(partial, "rejectedSpans");
    double n = cJSON_IsNumber(count) ? count->valuedouble : 0;
    if (cJSON_IsString(count)) n = strtod(count->valuestring, NULL);
    cJSON_Delete(root);
    return n > 0 && n < 1e15 ? (uint64_t)n : 0;
}
