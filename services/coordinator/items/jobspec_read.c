/* Reads the options in JSON and the query parameters into the spec, as the table of fields describes them. */
#include <math.h>

#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"
#include "coordinator/items/jobspec_fields.h"
#include "protocol/protocol.h"

#define NAME_SIZE 64 /* no field has a longer name */

static const char *describe_words(const struct field *f, char *out, size_t size)
{
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; i < f->word_count && len < size; i++) {
        if (!f->words[i]) continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", f->words[i]);
    }
    return out;
}

static bool is_retriable(enum item_error e)
{
    /* A retry cannot help with these two errors, because they come from a decision about the whole job. */
    return e != ITEM_CANCELLED && e != ITEM_DEADLINE_EXCEEDED;
}

static const char *describe_errors(char *out, size_t size)
{
    size_t len = 0;
    for (int e = 0; e < ITEM_ERROR_COUNT && len < size; e++) {
        if (!is_retriable((enum item_error)e)) continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", item_error_name((enum item_error)e));
    }
    return out;
}

static bool fail_type(const struct field *f, struct jobspec_error *err)
{
    char words[160];
    switch (f->type) {
    case FIELD_INT:
        return jobspec_fail(err, 400, f->name, "%s must be a whole number from %.0f to %.0f", f->name, f->min, f->max);
    case FIELD_NUMBER:
        return jobspec_fail(err, 400, f->name, "%s must be a number from %.0f to %.0f", f->name, f->min, f->max);
    case FIELD_BOOL: return jobspec_fail(err, 400, f->name, "%s must be true or false", f->name);
    case FIELD_WORD:
        return jobspec_fail(err, 400, f->name, "%s must be one of: %s", f->name,
                            describe_words(f, words, sizeof(words)));
    case FIELD_TASKS:
        return jobspec_fail(err, 400, f->name, "%s must be the name of a task, or an array of 1 to %d of them", f->name,
                            PIPELINE_TASKS_MAX);
    case FIELD_TASK: return jobspec_fail(err, 400, f->name, "%s must be the name of a task", f->name);
    case FIELD_RAW: return jobspec_fail(err, 400, f->name, "%s must be JSON", f->name);
    case FIELD_LABELS:
        return jobspec_fail(err, 400, f->name,
                            "%s must be an array of at most %d strings of 1 to %d bytes, without commas or control "
                            "characters; in the query they are joined with commas, without brackets or quotes",
                            f->name, JOB_LABELS_MAX, JOB_LABEL_BYTES);
    case FIELD_URL:
        return jobspec_fail(err, 400, f->name, "%s must be a URL of at most %d ASCII characters", f->name,
                            JOB_URL_BYTES);
    case FIELD_ERRORS: break;
    }
    return jobspec_fail(err, 400, f->name,
                        "%s must be an array of these: %s; in the query they are joined with commas, without brackets "
                        "or quotes",
                        f->name, describe_errors(words, sizeof words));
}

static bool is_number(struct json_slice v)
{
    return v.len && (v.data[0] == '-' || (v.data[0] >= '0' && v.data[0] <= '9'));
}

static bool read_number(struct json_slice v, double *n)
{
    char text[64];
    if (!is_number(v) || v.len >= sizeof(text)) return false;
    memcpy(text, v.data, v.len);
    text[v.len] = 0;
    *n = strtod(text, NULL) + 0.0; /* turns -0 into 0 */
    return isfinite(*n);
}

/* Reads a whole number. A double is exact up to the limit of 2^53 - 1. A number above the limit is never rounded to a
 * number below the limit. */
static bool read_int(const struct field *f, struct json_slice v, int64_t *n)
{
    double d;
    if (!read_number(v, &d) || d != floor(d) || d < f->min || d > f->max) return false;
    *n = (int64_t)d;
    return true;
}

static bool read_task(const struct field *f, struct json_slice v, char **out, struct jobspec_error *err)
{
    struct buf name = {0};
    if (!json_string_decode(v, &name) || name.len == 0) {
        buf_release(&name);
        return fail_type(f, err);
    }
    bool ok = is_task_name(name.data, name.len);
    if (ok)
        *out = xstrndup(name.data, name.len);
    else
        jobspec_fail(err, 404, f->name, "there is no such task: " TASK_NAME_RULE);
    buf_release(&name);
    return ok;
}

static bool read_tasks(struct jobspec *spec, const struct field *f, struct json_slice v, struct jobspec_error *err)
{
    struct json_walk w;
    struct json_slice element = v;
    bool array = v.data[0] == '[';
    if (array && (!json_walk_init(&w, v.data, v.len) || !json_walk_next(&w, NULL, &element))) return fail_type(f, err);
    do {
        if (spec->task_count == PIPELINE_TASKS_MAX) return fail_type(f, err);
        if (!read_task(f, element, &spec->tasks[spec->task_count], err)) {
            if (array) snprintf(err->pointer, sizeof(err->pointer), "/%s/%zu", f->name, spec->task_count);
            return false;
        }
        spec->task_count++;
    } while (array && json_walk_next(&w, NULL, &element));
    return true;
}

static bool read_word(const struct field *f, struct json_slice v, unsigned *out)
{
    for (size_t i = 0; i < f->word_count; i++) {
        if (!f->words[i] || !json_string_is(v, f->words[i])) continue;
        *out = (unsigned)i;
        return true;
    }
    return false;
}

static bool read_error_name(struct json_slice v, uint32_t *bits)
{
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        if (!is_retriable((enum item_error)e)) continue;
        if (!json_string_is(v, item_error_name((enum item_error)e))) continue;
        *bits |= UINT32_C(1) << e;
        return true;
    }
    return false;
}

static bool read_errors(struct json_slice v, uint32_t *out)
{
    struct json_walk w;
    struct json_slice element;
    uint32_t bits = 0;
    if (v.data[0] != '[' || !json_walk_init(&w, v.data, v.len)) return false;
    while (json_walk_next(&w, NULL, &element)) {
        if (!read_error_name(element, &bits)) return false;
    }
    *out = bits;
    return true;
}

static bool read_url(struct json_slice v, char **out)
{
    struct buf text = {0};
    bool ok = v.data[0] == '"' && json_string_decode(v, &text) && text.len > 0 && text.len <= JOB_URL_BYTES;
    for (size_t i = 0; ok && i < text.len; i++) ok = text.data[i] > ' ' && text.data[i] <= '~';
    if (ok) *out = xstrndup(text.data, text.len);
    buf_release(&text);
    return ok;
}

/* Stores the text on one line, because it becomes part of the first line of every chunk. Nearly every text is already
 * on one line. A text that is already on one line is copied in one piece, because copying 4 MiB byte by byte is
 * slow. */
void jobspec_set_common(struct jobspec *spec, const char *json, size_t len)
{
    bool in_one_line = !memchr(json, '\n', len) && !memchr(json, '\r', len);
    free(spec->common);
    spec->common = xmalloc(len + 1);
    spec->common_len = 0;
    if (in_one_line) memcpy(spec->common, json, spec->common_len = len);
    for (size_t i = 0; i < len && !in_one_line; i++) {
        if (json[i] != '\n' && json[i] != '\r') spec->common[spec->common_len++] = json[i];
    }
    spec->common[spec->common_len] = 0;
}

static void read_raw(struct jobspec *spec, struct json_slice v)
{
    jobspec_set_common(spec, v.data, v.len);
    spec->common_source = v.data;
    spec->common_source_len = v.len;
}

static bool read_value(struct jobspec *spec, const struct field *f, struct json_slice v, struct jobspec_error *err)
{
    void *place = (char *)spec + f->offset;
    bool ok = false;
    double n;
    switch (f->type) {
    case FIELD_INT: ok = read_int(f, v, place); break;
    case FIELD_NUMBER:
        ok = read_number(v, &n) && n >= f->min && n <= f->max;
        if (ok) *(double *)place = n;
        break;
    case FIELD_BOOL:
        ok = v.data[0] == 't' || v.data[0] == 'f';
        *(bool *)place = v.data[0] == 't';
        break;
    case FIELD_WORD: ok = read_word(f, v, place); break;
    case FIELD_TASKS: return read_tasks(spec, f, v, err);
    case FIELD_TASK: return read_task(f, v, place, err);
    case FIELD_RAW: read_raw(spec, v); return true;
    case FIELD_ERRORS: ok = read_errors(v, place); break;
    case FIELD_LABELS: ok = jobspec_read_labels(v, place); break;
    case FIELD_URL: ok = read_url(v, place); break;
    }
    return ok || fail_type(f, err);
}

static bool read_field(struct jobspec *spec, const struct field *f, struct json_slice v, struct jobspec_error *err)
{
    uint64_t bit = UINT64_C(1) << (f - jobspec_fields);
    if (spec->seen & bit) return jobspec_fail(err, 400, f->name, "%s is given twice", f->name);
    spec->seen |= bit;
    if (f->nullable && v.data[0] == 'n') return true;
    if (!read_value(spec, f, v, err)) return false;
    if (f->type == FIELD_INT && strcmp(f->name, "range.step") == 0 && spec->step == 0)
        return jobspec_fail(err, 400, f->name, "range.step must not be 0");
    return true;
}

/* Refuses a field that no job has. `in_query`: the field is in the query. Otherwise it is in an object of options. If
 * this object has a field "items", it must be the first line of a body of lines, because the splitter removes the items
 * from a job object. */
static bool fail_unknown(struct jobspec_error *err, const char *name, bool in_query)
{
    if (strcmp(name, "input") == 0 || strncmp(name, "input.", 6) == 0)
        return jobspec_fail(err, 400, "input", "input is not available yet: send items, range or spans");
    if (strcmp(name, "items") == 0)
        return jobspec_fail(err, 400, "items",
                            in_query ? "items belong in the body, not in the query"
                                     : "the first line has only options: items belong in the lines after it");
    if (strcmp(name, "?") == 0) return jobspec_fail(err, 400, name, "a job has no such field");
    return jobspec_fail(err, 400, name, "a job has no field \"%.64s\"", name);
}

/* Writes "<group>.<name>", or "?" if no field can have this name. */
static void full_name(char out[NAME_SIZE], const char *group, const struct buf *name)
{
    bool odd = name->len == 0 || name->len + strlen(group) + 2 > NAME_SIZE || memchr(name->data, 0, name->len) ||
               memchr(name->data, '.', name->len);
    if (odd)
        snprintf(out, NAME_SIZE, "?");
    else
        snprintf(out, NAME_SIZE, "%s%s%.*s", group, *group ? "." : "", (int)name->len, name->data);
}

/* Writes the JSON pointer of an unknown member, which can have any name. A long pointer is cut off. */
static void point_at(struct jobspec_error *err, const char *group, const struct buf *name)
{
    size_t at = (size_t)snprintf(err->pointer, sizeof(err->pointer), "%s%s/", *group ? "/" : "", group);
    for (size_t i = 0; i < name->len && at + 3 < sizeof(err->pointer); i++) {
        char c = name->data[i];
        bool special = c == '~' || c == '/';
        if (special) err->pointer[at++] = '~';
        err->pointer[at++] = c == '~' ? '0' : c == '/' ? '1' : c;
    }
    err->pointer[at] = 0;
}

static bool read_object(struct jobspec *spec, const char *group, struct json_slice object, struct jobspec_error *err);

static bool read_member(struct jobspec *spec, const char *group, const struct buf *name, struct json_slice v,
                        struct jobspec_error *err)
{
    char full[NAME_SIZE];
    full_name(full, group, name);
    const struct field *f = jobspec_field(full);
    bool is_group = !*group && jobspec_is_group(full);
    if (is_group && v.data[0] == '{') return read_object(spec, full, v, err);
    if (f && !f->query_only) return read_field(spec, f, v, err);
    if (is_group) return jobspec_fail(err, 400, full, "%s must be an object", full);
    fail_unknown(err, full, false);
    point_at(err, group, name);
    return false;
}

static bool read_object(struct jobspec *spec, const char *group, struct json_slice object, struct jobspec_error *err)
{
    struct json_walk w;
    struct json_slice name, v;
    struct buf text = {0};
    bool ok = true, empty = true;
    if (!json_walk_init(&w, object.data, object.len)) BUG("not an object");
    while (ok && json_walk_next(&w, &name, &v)) {
        const char *why = json_string_fault(name);
        buf_clear(&text);
        if (!json_string_decode(name, &text)) BUG("a member without a name");
        ok = !why && read_member(spec, group, &text, v, err);
        empty = false;
        if (!why) continue;
        jobspec_fail(err, 400, group, "a name is not text: %s", why);
        point_at(err, group, &text);
    }
    buf_release(&text);
    /* Without these checks, an empty object as `range`, `spans` or `notify` would be treated like a missing member. */
    if (empty && strcmp(group, "range") == 0) return jobspec_fail(err, 400, group, "range needs a stop");
    if (empty && strcmp(group, "spans") == 0) return jobspec_fail(err, 400, group, "spans needs a stop and a size");
    if (empty && strcmp(group, "notify") == 0) return jobspec_fail(err, 400, group, "notify needs a url");
    return ok;
}

bool jobspec_read_options(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err)
{
    while (len && (*json == ' ' || *json == '\n' || *json == '\r' || *json == '\t')) {
        json++;
        len--;
    }
    if (*json != '{') return jobspec_fail(err, 400, "", "a job must be an object");
    return read_object(spec, "", (struct json_slice){json, len}, err);
}

/* Returns whether the value of this field in a query is plain words instead of JSON. */
static bool is_in_words(const struct field *f)
{
    return f->type == FIELD_WORD || f->type == FIELD_TASKS || f->type == FIELD_TASK || f->type == FIELD_ERRORS ||
           f->type == FIELD_LABELS || f->type == FIELD_URL;
}

/* Writes the value of a query parameter in the form that it has in the job object. */
static void query_to_json(const struct field *f, const char *value, struct buf *json)
{
    bool may_be_empty = f->type == FIELD_ERRORS || f->type == FIELD_LABELS;
    bool list = may_be_empty || (f->type == FIELD_TASKS && strchr(value, ','));
    bool word = is_in_words(f);
    if (!list && !word) {
        buf_add_str(json, value);
        return;
    }
    if (list) buf_add_char(json, '[');
    for (const char *p = value;; p++) {
        size_t n = list ? strcspn(p, ",") : strlen(p);
        /* An empty value means an empty list, not a list with one empty name. */
        if (n || !may_be_empty) buf_add_json_string(json, p, n);
        p += n;
        if (!*p) break;
        buf_add_char(json, ',');
    }
    if (list) buf_add_char(json, ']');
}

bool jobspec_read_query(struct jobspec *spec, const char *name, const char *value, struct jobspec_error *err)
{
    const struct field *f = jobspec_field(name);
    if (!f && jobspec_is_group(name))
        return jobspec_fail(err, 400, name, "%s is an object: give each member separately, with a dot", name);
    if (!f) return fail_unknown(err, name, true);
    struct buf json = {0};
    query_to_json(f, value, &json);
    size_t offset, begin = strspn(value, " \t\r\n");
    const char *why;
    bool ok;
    if (!json_valid(json.data, json.len, &offset, &why)) {
        ok = fail_type(f, err);
    } else {
        /* In the query, white space is allowed only around values that are written as JSON. */
        if (is_in_words(f)) begin = 0;
        const char *text = json.data + begin;
        ok = read_field(spec, f, (struct json_slice){text, json_value_length(text, json.len - begin)}, err);
    }
    spec->common_source = NULL; /* the text is freed */
    buf_release(&json);
    return ok;
}
