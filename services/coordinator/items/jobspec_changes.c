/* The options that may change while a job runs. */
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"
#include "coordinator/items/jobspec_fields.h"

/* Means "no limit" in stored changes: a job cannot have that many failures. */
#define NO_LIMIT ((int64_t)LIMIT_JSON_INTEGER - 1)

/* New options come last: an older version stops reading stored changes at the first option that it does not know. */
static const char *const changeable[] = {
    "max_concurrency", "priority", "tolerated_failure_count", "tolerated_failure_percentage", "deadline_s", "max_rate"};

static bool is_changeable(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(changeable); i++)
        if (strcmp(name, changeable[i]) == 0) return true;
    return false;
}

static bool set_default(struct jobspec *spec, const struct field *f, struct jobspec_error *err)
{
    struct jobspec defaults;
    if (jobspec_given(spec, f->name)) return jobspec_fail(err, 400, f->name, "%s is given twice", f->name);
    size_t size = f->type == FIELD_INT ? sizeof(int64_t) : sizeof(double);
    jobspec_init(&defaults);
    memcpy((char *)spec + f->offset, (char *)&defaults + f->offset, size);
    jobspec_release(&defaults);
    spec->seen |= UINT64_C(1) << (f - jobspec_fields);
    return true;
}

static bool change(struct jobspec *spec, const char *name, struct json_slice value, struct jobspec_error *err)
{
    struct buf text = {0};
    const struct field *f = jobspec_field(name);
    if (!is_changeable(name))
        return jobspec_fail(err, 400, name,
                            "only max_concurrency, priority, tolerated_failure_count, tolerated_failure_percentage, "
                            "deadline_s and max_rate can be changed");
    if (value.data[0] == 'n') return set_default(spec, f, err);
    buf_add(&text, value.data, value.len);
    bool ok = jobspec_read_query(spec, name, buf_cstr(&text), err);
    buf_release(&text);
    return ok;
}

bool jobspec_read_changes(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err)
{
    struct json_walk w;
    struct json_slice name, value;
    struct buf text = {0};
    size_t offset;
    const char *why;
    if (!json_valid(json, len, &offset, &why))
        return jobspec_fail(err, 400, "", "the changes are not JSON: %s, at byte %zu", why, offset);
    bool ok = json[strspn(json, " \t\r\n")] == '{' && json_walk_init(&w, json, len);
    if (!ok) return jobspec_fail(err, 400, "", "the changes must be an object");
    while (ok && json_walk_next(&w, &name, &value)) {
        buf_clear(&text);
        if (!json_string_decode(name, &text)) BUG("a member without a name");
        ok = change(spec, buf_cstr(&text), value, err);
    }
    buf_release(&text);
    return ok;
}

static void write_value(const struct jobspec *spec, const struct field *f, bool null_allowed, struct buf *out)
{
    const void *place = (const char *)spec + f->offset;
    if (f->type == FIELD_NUMBER) {
        buf_addf(out, "%.17g", *(const double *)place);
        return;
    }
    int64_t n = *(const int64_t *)place;
    bool no_limit = f->nullable && (n < 0 || n == NO_LIMIT);
    if (no_limit && null_allowed)
        buf_add_str(out, "null");
    else
        buf_addf(out, "%lld", (long long)(no_limit ? NO_LIMIT : n));
}

static void write_all(const struct jobspec *spec, bool only_given, struct buf *out)
{
    char between = '{';
    for (size_t i = 0; i < ARRAY_SIZE(changeable); i++) {
        const struct field *f = jobspec_field(changeable[i]);
        if (only_given && !jobspec_given(spec, f->name)) continue;
        buf_addf(out, "%c\"%s\":", between, f->name);
        write_value(spec, f, !only_given, out);
        between = ',';
    }
    buf_add_str(out, between == '{' ? "{}" : "}");
}

void jobspec_write_changes(const struct jobspec *spec, struct buf *out)
{
    write_all(spec, true, out);
}

void jobspec_write_changeable(const struct jobspec *spec, struct buf *out)
{
    write_all(spec, false, out);
}
