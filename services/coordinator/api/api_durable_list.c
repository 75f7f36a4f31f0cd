/* GET /v1/jobs of a coordinator with a store. */
#include "common/observe/utc_time.h"
#include "common/observe/uuid.h"
#include "coordinator/api/api_durable.h"
#include "coordinator/api/errand.h"
#include "coordinator/api/job_list.h"
#include "coordinator/items/jobspec.h"
#include "coordinator/results/store_problem.h"
#include "protocol/protocol.h"

enum { LIMIT_DEFAULT = 50 };

/* One query parameter. `read` returns false when the value is wrong; `rule` says what the value must be. */
struct list_parameter {
    const char *name, *rule;
    bool (*read)(struct errand *e, struct store_filter *f, const char *value);
};

static bool read_status(struct errand *e, struct store_filter *f, const char *value)
{
    char word[32];
    for (const char *at = value, *end; at; at = *end ? end + 1 : NULL) {
        enum stored_state state;
        end = strchrnul(at, ',');
        snprintf(word, sizeof word, "%.*s", (int)(end - at), at);
        if ((size_t)(end - at) >= sizeof word || !stored_state_parse(word, &state) || state == STORED_RECEIVING)
            return false;
        f->with_state[state] = true;
    }
    return true;
}

static bool read_task(struct errand *e, struct store_filter *f, const char *value)
{
    if (!is_task_name(value, strlen(value))) return false;
    f->task = e->task = xstrdup(value);
    return true;
}

static bool read_label(struct errand *e, struct store_filter *f, const char *value)
{
    if (!job_label_is_valid(value, strlen(value))) return false;
    f->label = e->label = xstrdup(value);
    return true;
}

static bool read_created_after(struct errand *e, struct store_filter *f, const char *value)
{
    if (!utc_time_parse(value, &f->created_from_ms)) return false;
    f->created_from_ms++;
    return true;
}

static bool read_created_before(struct errand *e, struct store_filter *f, const char *value)
{
    if (!utc_time_parse(value, &f->created_before_ms)) return false;
    if (f->created_before_ms <= 0) f->created_before_ms = 1; /* 0 would mean any time; 1 matches no job */
    return true;
}

static bool read_limit(struct errand *e, struct store_filter *f, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    if (!digits || digits > 4 || value[digits]) return false;
    f->limit = (unsigned)strtoul(value, NULL, 10);
    return f->limit > 0 && f->limit <= STORE_LIST_MAX;
}

/* A cursor is the id of the last job of a page. Clients must not rely on this form. */
static bool read_cursor(struct errand *e, struct store_filter *f, const char *value)
{
    if (!uuid7_is_valid(value)) return false;
    snprintf(f->below, sizeof f->below, "%s", value);
    return true;
}

static const char a_time[] = "must be a time such as 2026-11-29T03:00:00Z, or a date";
static const struct list_parameter parameters[] = {
    {"status",
     "must be pending, running, succeeded, partial, failed, cancelled or timed_out; several are separated by "
     "commas",
     read_status},
    {"task", "must be the name of a task", read_task},
    {"label", "must be a label of 1 to 64 bytes, without commas or control characters", read_label},
    {"created_after", a_time, read_created_after},
    {"created_before", a_time, read_created_before},
    {"limit", "must be a whole number from 1 to " TEXT_OF(STORE_LIST_MAX), read_limit},
    {"cursor", "must be the \"next\" of an earlier page", read_cursor},
};
static const char *const parameter_names[] = {"status",         "task",  "label",  "created_after",
                                              "created_before", "limit", "cursor", NULL};
static_assert(ARRAY_SIZE(parameter_names) == ARRAY_SIZE(parameters) + 1, "a name for each parameter");

/* If a parameter is wrong, answers the request and returns false. */
static bool read_filter(struct errand *e, struct store_filter *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const struct list_parameter *p = &parameters[i];
        const char *value = http_exchange_query(e->exchange, p->name);
        if (!value || p->read(e, f, value)) continue;
        char pointer[64];
        snprintf(pointer, sizeof pointer, "\"pointer\":\"/%s\"", p->name);
        http_answer_problem(e->exchange, 400, pointer, "\"%s\" %s", p->name, p->rule);
        return false;
    }
    return true;
}

static void on_listed(struct errand *e, struct store_call *call)
{
    struct buf out = {0};
    if (!e->exchange) return;
    if (call->status != STORE_OK) {
        store_problem_answer(e->exchange, call);
        return;
    }
    buf_add_str(&out, "{\"scope\":\"store\",\"jobs\":[");
    for (size_t i = 0; i < call->list_count; i++) {
        if (i) buf_add_char(&out, ',');
        errand_write_job(e->coordinator, &out, &call->list[i]);
    }
    buf_add_str(&out, "],\"next\":");
    if (call->more && call->list_count)
        buf_addf(&out, "\"%s\"", call->list[call->list_count - 1].id);
    else
        buf_add_str(&out, "null");
    buf_add_str(&out, ",\"synchronous\":");
    job_list_begin(&e->list, &e->coordinator->jobs, &out);
    http_answer_stream(e->exchange, 200, TYPE_JSON);
}

void api_list_durable(struct http_exchange *x, struct coordinator *c)
{
    if (!http_check_queries(x, parameter_names, job_list_hint)) return;
    struct errand *e = errand_new(x, c);
    if (!e) return;
    struct store_call *call = errand_call(e, STORE_LIST_JOBS, on_listed);
    call->filter.limit = LIMIT_DEFAULT;
    if (read_filter(e, &call->filter))
        errand_start(e, call);
    else
        store_call_free(call);
}
