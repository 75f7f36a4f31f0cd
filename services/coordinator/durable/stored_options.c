#include "coordinator/durable/stored_options.h"

#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

/* A `common` of at least this many bytes counts as long. */
enum { LONG_COMMON_BYTES = 64 * 1024 };
enum { SPAN_DIGITS = 20, SPAN_BYTES = 2 * SPAN_DIGITS + 24 }; /* the longest member "common_span" */
static const char span_name[] = ",\"common_span\":[";

void stored_options_begin(struct buf *out)
{
    buf_add_str(out, "{\"query\":{");
}

void stored_options_add_query(struct buf *out, const char *name, const char *value)
{
    if (out->data[out->len - 1] != '{') buf_add_char(out, ',');
    buf_add_json_string(out, name, strlen(name));
    buf_add_char(out, ':');
    buf_add_json_string(out, value, strlen(value));
}

size_t stored_options_add_object(struct buf *out, const struct buf *options, bool have_items,
                                 enum idempotency idempotent)
{
    buf_add_str(out, "},\"options\":");
    size_t at = out->len;
    if (options->len)
        buf_add(out, options->data, options->len);
    else
        buf_add_str(out, "null");
    buf_addf(out, ",\"have_items\":%s,\"idempotent\":%s", have_items ? "true" : "false", idempotency_json(idempotent));
    return at;
}

void stored_options_add_trace(struct buf *out, const char *traceparent, const char *tracestate)
{
    buf_add_str(out, ",\"trace\":{\"traceparent\":");
    buf_add_json_string(out, traceparent, strlen(traceparent));
    if (tracestate) buf_add_str(out, ",\"tracestate\":");
    if (tracestate) buf_add_json_string(out, tracestate, strlen(tracestate));
    buf_add_char(out, '}');
}

void stored_options_end(struct buf *out, size_t common_at, size_t common_len)
{
    if (common_len >= LONG_COMMON_BYTES) buf_addf(out, "%s%zu,%zu]", span_name, common_at, common_len);
    buf_add_char(out, '}');
}

size_t stored_options_without(const struct buf *options, const char *member, const char *value, struct buf *out)
{
    struct json_walk walk;
    struct json_slice name, v;
    size_t at = 0;
    if (options->len == 0 || !json_walk_init(&walk, options->data, options->len)) return 0;
    buf_add_char(out, '{');
    while (json_walk_next(&walk, &name, &v)) {
        if (json_string_is(name, member)) continue;
        if (out->data[out->len - 1] != '{') buf_add_char(out, ',');
        buf_add(out, name.data, name.len);
        buf_add_char(out, ':');
        if (v.data == value) at = out->len;
        buf_add(out, v.data, v.len);
    }
    buf_add_char(out, '}');
    return at;
}

/* Reads "AT,LEN]}". Returns false if the text is different, or does not end there. */
static bool read_span(const char *p, size_t *at, size_t *len)
{
    char *end;
    if (*p < '0' || *p > '9') return false;
    *at = strtoull(p, &end, 10);
    if (*end != ',' || end[1] < '0' || end[1] > '9') return false;
    *len = strtoull(end + 1, &end, 10);
    return strcmp(end, "]}") == 0;
}

/* Finds the value of `common` if the text says where it is. "common_span" counts only as the last member of the text.
 * Other members follow the options, so nothing that a client has put into the options is mistaken for "common_span". */
static bool find_common(const char *text, size_t text_len, struct json_slice *common)
{
    const char *member = strstr(text_len > SPAN_BYTES ? text + text_len - SPAN_BYTES : text, span_name);
    size_t at, len;
    if (!member || !read_span(member + sizeof span_name - 1, &at, &len)) return false;
    size_t most = (size_t)(member - text);
    if (at > most || len > most - at) return false;
    *common = (struct json_slice){text + at, len};
    return true;
}

/* Copies the text with `null` instead of a long `common`, and sets *common to the value that was left out. Without a
 * long `common`, the length of *common is 0. */
static void copy_short(const char *text, struct buf *out, struct json_slice *common)
{
    size_t len = strlen(text);
    *common = (struct json_slice){NULL, 0};
    if (find_common(text, len, common)) {
        const char *after = common->data + common->len;
        buf_add(out, text, (size_t)(common->data - text));
        buf_add_str(out, "null");
        buf_add(out, after, (size_t)(text + len - after));
    } else {
        buf_add(out, text, len);
    }
}

static void read_headers(struct json_slice trace, struct buf *traceparent, struct buf *tracestate)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, trace.data, trace.len)) return;
    while (json_walk_next(&walk, &name, &value)) {
        struct buf *to = json_string_is(name, "traceparent")  ? traceparent
                         : json_string_is(name, "tracestate") ? tracestate
                                                              : NULL;
        if (to && !json_string_decode(value, to)) buf_clear(to);
    }
}

void stored_options_read_trace(const char *text, struct buf *traceparent, struct buf *tracestate)
{
    struct json_walk walk;
    struct json_slice name, value, common;
    struct buf rest = {0};
    if (!text) return;
    copy_short(text, &rest, &common);
    bool ok = json_walk_init(&walk, rest.data, rest.len);
    while (ok && json_walk_next(&walk, &name, &value))
        if (json_string_is(name, "trace")) read_headers(value, traceparent, tracestate);
    buf_release(&rest);
}

/* The results of a read in progress. */
struct options_reading {
    struct jobspec *spec;
    enum idempotency *idempotent;
    bool have_items;
    struct jobspec_error fault;
};

static bool read_query(struct options_reading *r, struct json_slice query)
{
    struct json_walk walk;
    struct json_slice name, value;
    struct buf name_text = {0}, value_text = {0};
    bool ok = json_walk_init(&walk, query.data, query.len);
    while (ok && json_walk_next(&walk, &name, &value)) {
        buf_clear(&name_text);
        buf_clear(&value_text);
        ok = json_string_decode(name, &name_text) && json_string_decode(value, &value_text) &&
             jobspec_read_query(r->spec, buf_cstr(&name_text), buf_cstr(&value_text), &r->fault);
    }
    buf_release(&name_text);
    buf_release(&value_text);
    return ok;
}

static enum idempotency idempotency_of(struct json_slice value)
{
    if (value.data[0] == 't') return IDEMPOTENCY_YES;
    return value.data[0] == 'f' ? IDEMPOTENCY_NO : IDEMPOTENCY_UNSAID;
}

static bool read_member(struct options_reading *r, struct json_slice name, struct json_slice value)
{
    if (json_string_is(name, "query")) return read_query(r, value);
    if (json_string_is(name, "options"))
        return value.data[0] == 'n' || jobspec_read_options(r->spec, value.data, value.len, &r->fault);
    if (json_string_is(name, "have_items")) r->have_items = value.data[0] == 't';
    if (json_string_is(name, "idempotent")) *r->idempotent = idempotency_of(value);
    return true;
}

static void explain(const struct jobspec_error *fault, const char *why, char *err, size_t err_size)
{
    if (fault->status)
        snprintf(err, err_size, "the stored options cannot be read, at \"%s\": %s", fault->pointer, fault->detail);
    else
        snprintf(err, err_size, "the stored options cannot be read: %s", why);
}

static bool read_text(const char *text, size_t len, struct jobspec *spec, enum idempotency *idempotent, char *err,
                      size_t err_size)
{
    struct options_reading r = {.spec = spec, .idempotent = idempotent};
    struct json_walk walk;
    struct json_slice name, value;
    size_t offset;
    const char *why = "they are not an object";
    *idempotent = IDEMPOTENCY_UNSAID;
    jobspec_init(spec);
    bool ok = text && json_valid(text, len, &offset, &why) && json_walk_init(&walk, text, len);
    while (ok && json_walk_next(&walk, &name, &value)) ok = read_member(&r, name, value);
    ok = ok && jobspec_finish(spec, r.have_items, &r.fault);
    if (!ok) explain(&r.fault, why, err, err_size);
    return ok;
}

/* Reads the options, and the value of a long `common` too if with_common is true. */
static bool read_options(const char *text, bool with_common, struct jobspec *spec, enum idempotency *idempotent,
                         char *err, size_t err_size)
{
    struct buf rest = {0};
    struct json_slice common = {NULL, 0};
    size_t offset;
    const char *why;
    if (text) copy_short(text, &rest, &common);
    bool ok = read_text(text ? buf_cstr(&rest) : NULL, rest.len, spec, idempotent, err, err_size);
    if (ok && with_common && common.len) {
        ok = json_valid(common.data, common.len, &offset, &why);
        if (ok)
            jobspec_set_common(spec, common.data, common.len);
        else
            explain(&(struct jobspec_error){0}, why, err, err_size);
    }
    spec->common_source = NULL;
    buf_release(&rest);
    return ok;
}

bool stored_options_read(const char *text, struct jobspec *spec, enum idempotency *idempotent, char *err,
                         size_t err_size)
{
    return read_options(text, true, spec, idempotent, err, err_size);
}

bool stored_options_read_facts(const char *text, struct jobspec *spec, enum idempotency *idempotent, char *err,
                               size_t err_size)
{
    return read_options(text, false, spec, idempotent, err, err_size);
}

void stored_options_change(struct jobspec *spec, const char *changes)
{
    struct jobspec_error fault;
    spec->seen = 0;
    bool ok = changes && jobspec_read_changes(spec, changes, strlen(changes), &fault);
    (void)ok; /* if the changes cannot be read, the options stay as they were submitted */
}
