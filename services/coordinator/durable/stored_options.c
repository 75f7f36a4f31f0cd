#include "coordinator/durable/stored_options.h"

#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

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

void stored_options_add_object(struct buf *out, const struct buf *options, bool have_items, enum idempotency idempotent)
{
    buf_add_str(out, "},\"options\":");
    if (options->len)
        buf_add(out, options->data, options->len);
    else
        buf_add_str(out, "null");
    buf_addf(out, ",\"have_items\":%s,\"idempotent\":%s", have_items ? "true" : "false", idempotency_json(idempotent));
}

void stored_options_add_trace(struct buf *out, const char *traceparent, const char *tracestate)
{
    buf_add_str(out, ",\"trace\":{\"traceparent\":");
    buf_add_json_string(out, traceparent, strlen(traceparent));
    if (tracestate) buf_add_str(out, ",\"tracestate\":");
    if (tracestate) buf_add_json_string(out, tracestate, strlen(tracestate));
    buf_add_char(out, '}');
}

void stored_options_end(struct buf *out)
{
    buf_add_char(out, '}');
}

void stored_options_without(const struct buf *options, const char *member, struct buf *out)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (options->len == 0 || !json_walk_init(&walk, options->data, options->len)) return;
    buf_add_char(out, '{');
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, member)) continue;
        if (out->data[out->len - 1] != '{') buf_add_char(out, ',');
        buf_add(out, name.data, name.len);
        buf_add_char(out, ':');
        buf_add(out, value.data, value.len);
    }
    buf_add_char(out, '}');
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
    struct json_slice name, value;
    if (!text || !json_walk_init(&walk, text, strlen(text))) return;
    while (json_walk_next(&walk, &name, &value))
        if (json_string_is(name, "trace")) read_headers(value, traceparent, tracestate);
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

bool stored_options_read(const char *text, struct jobspec *spec, enum idempotency *idempotent, char *err,
                         size_t err_size)
{
    struct options_reading r = {.spec = spec, .idempotent = idempotent};
    struct json_walk walk;
    struct json_slice name, value;
    size_t offset;
    const char *why = "they are not an object";
    *idempotent = IDEMPOTENCY_UNSAID;
    jobspec_init(spec);
    bool ok = text && json_valid(text, strlen(text), &offset, &why) && json_walk_init(&walk, text, strlen(text));
    while (ok && json_walk_next(&walk, &name, &value)) ok = read_member(&r, name, value);
    ok = ok && jobspec_finish(spec, r.have_items, &r.fault);
    if (!ok) explain(&r.fault, why, err, err_size);
    return ok;
}

void stored_options_change(struct jobspec *spec, const char *changes)
{
    struct jobspec_error fault;
    spec->seen = 0;
    bool ok = changes && jobspec_read_changes(spec, changes, strlen(changes), &fault);
    (void)ok; /* if the changes cannot be read, the options stay as they were submitted */
}
