#include "coordinator/job/job_request.h"

#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "common/net/media_type.h"
#include "coordinator/job/job_internal.h"
#include "protocol/protocol.h"

#define JOB_ROOM_BYTES (1 * MIB) /* the memory that every job needs */

struct preferences job_request_preferences(const struct http_exchange *x)
{
    struct buf text = {0};
    http_exchange_header_all(x, "Prefer", &text);
    struct preferences p = preferences_read(buf_cstr(&text), LIMIT_JOB_WAIT_S);
    buf_release(&text);
    return p;
}

bool job_request_prefers_durable(const struct http_exchange *x)
{
    struct preferences p = job_request_preferences(x);
    return p.respond_async || p.waits;
}

static bool query_makes_items(const struct http_exchange *x)
{
    return http_exchange_query(x, "range.stop") || http_exchange_query(x, "range.start") ||
           http_exchange_query(x, "spans.stop") || http_exchange_query(x, "spans.start");
}

/* Chooses the format of the body by its Content-Type. Without a Content-Type, or with the Content-Type that `curl -d`
 * sends, the query decides. Returns false when the type is unknown. */
static bool choose_format(const struct http_exchange *x, enum split_format *format)
{
    switch (media_type_form(http_exchange_header(x, "Content-Type"))) {
    case MEDIA_NONE:
    case MEDIA_FORM:
        *format = http_exchange_query(x, "task") && !query_makes_items(x) ? SPLIT_NDJSON : SPLIT_JOB;
        return true;
    case MEDIA_JSON: *format = SPLIT_JOB; return true;
    case MEDIA_NDJSON: *format = SPLIT_NDJSON; return true;
    case MEDIA_TEXT: *format = SPLIT_TEXT; return true;
    case MEDIA_OTHER: break;
    }
    return false;
}

struct query_reader {
    struct jobspec *spec;
    struct jobspec_error *err;
    bool ok;
};

static void read_query(void *data, const char *name, const char *value)
{
    struct query_reader *r = data;
    if (r->ok) r->ok = jobspec_read_query(r->spec, name, value, r->err);
}

/* The query is checked before the body is read, because a misspelt parameter may change how the body is read. For
 * example, without `task`, lines are read as a job object. */
static bool check_query(struct http_exchange *x)
{
    struct jobspec spec = {0};
    struct jobspec_error err;
    struct buf members = {0};
    struct query_reader r = {&spec, &err, true};
    jobspec_init(&spec);
    http_exchange_each_query(x, read_query, &r);
    if (!r.ok) http_answer_problem(x, err.status, job_pointer_member(&members, err.pointer), "%s", err.detail);
    buf_release(&members);
    jobspec_release(&spec);
    return r.ok;
}

static bool has_options_line(const struct http_exchange *x)
{
    const char *first_line = http_exchange_query(x, "first_line");
    return first_line && strcmp(first_line, "options") == 0;
}

void job_request_begin_body(const struct http_exchange *x, enum split_format format, struct splitter *s)
{
    splitter_init(s, format, 0);
    if (has_options_line(x)) splitter_expect_options(s);
}

bool job_request_format(struct http_exchange *x, enum split_format *format)
{
    char charset[MEDIA_CHARSET_SIZE];
    if (!check_query(x)) return false;
    if (!choose_format(x, format)) {
        http_answer_problem(x, 415, NULL, "the Content-Type of a job must be %s, %s or %s", TYPE_JSON, TYPE_NDJSON,
                            TYPE_TEXT);
        return false;
    }
    if (*format == SPLIT_JOB && has_options_line(x)) {
        http_answer_problem(x, 400, "\"pointer\":\"/first_line\"",
                            "\"first_line\" is for a body of lines, and this body is a job object");
        return false;
    }
    if (!media_type_is_utf8(http_exchange_header(x, "Content-Type"), charset)) {
        http_answer_problem(x, 415, NULL, "the charset of the Content-Type is \"%s\", and a body must be UTF-8",
                            charset);
        return false;
    }
    if (!memory_has_room(JOB_ROOM_BYTES)) {
        http_exchange_set_header(x, "Retry-After", "1");
        http_answer_problem(x, 503, NULL, "the coordinator has reached its memory limit");
        return false;
    }
    return true;
}

/* Reads the query, and the options if `options` is not NULL. */
static bool read_options(struct http_exchange *x, const struct buf *options, struct jobspec *spec,
                         struct jobspec_error *err)
{
    struct query_reader r = {spec, err, true};
    jobspec_init(spec);
    http_exchange_each_query(x, read_query, &r);
    return r.ok && (!options || jobspec_read_options(spec, options->data, options->len, err));
}

/* Reads the query, and a copy of the options in which `null` replaces their longest value. Then sets `common` to the
 * longest value. Returns false if that value belongs to another option, or if the query or the options have a fault. */
static bool read_without_long_value(struct http_exchange *x, const struct splitter *s, struct jobspec *spec)
{
    struct jobspec_error err;
    struct buf rest = {0};
    const char *value = s->options.data + s->long_at, *after = value + s->long_len;
    buf_add(&rest, s->options.data, s->long_at);
    buf_add_str(&rest, "null");
    buf_add(&rest, after, s->options.len - s->long_at - s->long_len);
    bool ok = read_options(x, &rest, spec, &err) && spec->common_source == rest.data + s->long_at;
    buf_release(&rest);
    if (!ok) {
        jobspec_release(spec);
        return false;
    }
    jobspec_set_common(spec, value, s->long_len);
    spec->common_source = value;
    spec->common_source_len = s->long_len;
    return true;
}

bool job_request_options(struct http_exchange *x, const struct splitter *s, struct jobspec *spec,
                         struct jobspec_error *err)
{
    if (s->long_len > 0 && read_without_long_value(x, s, spec)) return true;
    return read_options(x, s->has_options ? &s->options : NULL, spec, err);
}

int job_request_split_fault(const struct split_error *e, struct buf *members, struct buf *detail)
{
    job_pointer_member(members, e->pointer);
    buf_addf(members, ",\"offset\":%llu", (unsigned long long)e->offset);
    return split_error_describe(e, detail);
}
