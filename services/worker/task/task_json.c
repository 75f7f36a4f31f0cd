#include "worker/task/task_internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/files/regular_file.h"
#include "common/json/encoding.h"
#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "worker/task/environment.h"

#define TASK_JSON_BYTES (1 * MIB)
#define EXAMPLE_BYTES   1000

struct field_context {
    struct task *task;
    struct command_options *options;
};

/* ---- fields ---- */

static void read_string(struct task *t, const cJSON *v, char **to)
{
    if (!cJSON_IsString(v)) {
        task_fail(t, "\"%s\" must be a string", v->string);
        return;
    }
    free(*to);
    *to = xstrdup(v->valuestring);
}

static void read_bool(struct task *t, const cJSON *v, bool *to)
{
    if (!cJSON_IsBool(v))
        task_fail(t, "\"%s\" must be true or false", v->string);
    else
        *to = cJSON_IsTrue(v);
}

static double read_number(struct task *t, const cJSON *v, double min, double max, bool whole)
{
    double n = cJSON_IsNumber(v) ? v->valuedouble : -1;
    bool ok = cJSON_IsNumber(v) && n >= min && n <= max;
    if (ok && whole && n != (double)(uint64_t)n) ok = false;
    if (!ok) task_fail(t, "\"%s\" must be a%s number from %.15g to %.15g", v->string, whole ? " whole" : "", min, max);
    return ok ? n : 0;
}

static void read_mode(struct field_context *c, const cJSON *v)
{
    if (!cJSON_IsString(v) || !task_mode_parse(v->valuestring, &c->task->mode))
        task_fail(c->task, "\"mode\" must be one of stream, exec, native, python");
}

static void read_command(struct field_context *c, const cJSON *v)
{
    bool ok = cJSON_IsArray(v) ? cJSON_GetArraySize(v) > 0 : cJSON_IsString(v) && v->valuestring[0];
    const cJSON *word;
    cJSON_ArrayForEach(word, v) if (!cJSON_IsString(word)) ok = false;
    if (!ok) task_fail(c->task, "\"command\" must be a string or an array of strings, not empty");
    c->options->command = v;
}

static void read_processes(struct field_context *c, const cJSON *v)
{
    c->task->processes = (unsigned)read_number(c->task, v, 1, LIMIT_TASK_PROCESSES, true);
}

static void read_item_timeout(struct field_context *c, const cJSON *v)
{
    c->task->item_timeout_ns = time_limit_ns(read_number(c->task, v, 0, LIMIT_TIME_S, false));
}

static void read_start_timeout(struct field_context *c, const cJSON *v)
{
    c->task->start_timeout_ns = time_limit_ns(read_number(c->task, v, 0, 1e6, false));
}

static void read_memory(struct field_context *c, const cJSON *v)
{
    c->task->memory_bytes = (uint64_t)read_number(c->task, v, 1 * MIB, 1e15, true);
}

static void read_max_items(struct field_context *c, const cJSON *v)
{
    c->task->max_items_per_process = (uint64_t)read_number(c->task, v, 1, 1e15, true);
}

static void read_idempotent(struct field_context *c, const cJSON *v)
{
    bool yes = false;
    read_bool(c->task, v, &yes);
    c->task->idempotent = yes ? IDEMPOTENCY_YES : IDEMPOTENCY_NO;
}

static void read_envelope(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->envelope);
}

static void read_in_order(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->in_order);
}

static void read_ids(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->ids);
}

static void read_ready(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->ready);
}

static void read_common(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->common);
}

static void read_traceparent(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->trace);
}

static void read_append(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->options->append);
}

static void read_row(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->options->row);
}

static void read_placeholder(struct field_context *c, const cJSON *v)
{
    if (cJSON_IsString(v) && v->valuestring[0])
        c->options->placeholder = v->valuestring;
    else
        task_fail(c->task, "\"placeholder\" must be a string that is not empty");
}

static void read_host_options(struct field_context *c, const cJSON *v)
{
    bool ok = cJSON_IsArray(v);
    const cJSON *word;
    cJSON_ArrayForEach(word, v) ok = ok && cJSON_IsString(word);
    if (!ok) task_fail(c->task, "\"host_options\" must be an array of strings");
    c->options->host_options = v;
}

static void read_error_bytes(struct field_context *c, const cJSON *v)
{
    c->task->error_bytes = (size_t)read_number(c->task, v, 0, LIMIT_ERROR_TAIL_BYTES, true);
    c->options->error_bytes = true;
}

static void read_own_tmpdir(struct field_context *c, const cJSON *v)
{
    read_bool(c->task, v, &c->task->own_tmpdir);
}

static void read_cwd(struct field_context *c, const cJSON *v)
{
    c->task->has_cwd = true;
    if (cJSON_IsString(v) && strcmp(v->valuestring, ".") == 0) return; /* the task's folder, which is the default */
    if (!cJSON_IsString(v) || v->valuestring[0] != '/')
        task_fail(c->task, "\"cwd\" must be an absolute path, or \".\" for the task's folder");
    else
        read_string(c->task, v, &c->task->cwd);
}

static void read_description(struct field_context *c, const cJSON *v)
{
    read_string(c->task, v, &c->task->description);
}

static void read_signature(struct field_context *c, const cJSON *v)
{
    read_string(c->task, v, &c->task->signature);
}

static void read_example(struct field_context *c, const cJSON *v)
{
    char *printed = cJSON_PrintUnformatted(v);
    if (!printed) BUG("out of memory for an example");
    free(c->task->example);
    c->task->example = xstrdup(printed);
    cJSON_free(printed);
    if (strlen(c->task->example) > EXAMPLE_BYTES)
        task_fail(c->task, "\"example\" must have at most %d bytes", EXAMPLE_BYTES);
}

static void read_input(struct field_context *c, const cJSON *v)
{
    if (cJSON_IsString(v) && strcmp(v->valuestring, "text") == 0)
        c->options->text = true;
    else if (!cJSON_IsString(v) || strcmp(v->valuestring, "json") != 0)
        task_fail(c->task, "\"input\" must be \"json\" or \"text\"");
}

static void read_output(struct field_context *c, const cJSON *v)
{
    static const char *const words[] = {"auto", "json", "text", "lines"};
    for (size_t i = 0; cJSON_IsString(v) && i < ARRAY_SIZE(words); i++)
        if (strcmp(v->valuestring, words[i]) == 0) c->options->output = words[i];
    if (!c->options->output) task_fail(c->task, "\"output\" must be one of auto, json, text, lines");
}

static void read_batch(struct field_context *c, const cJSON *v)
{
    c->task->batch = (unsigned)read_number(c->task, v, 1, LIMIT_TASK_BATCH, true);
    c->options->batch = true;
}

static void read_concurrency(struct field_context *c, const cJSON *v)
{
    c->task->concurrency = (unsigned)read_number(c->task, v, 1, LIMIT_TASK_CONCURRENCY, true);
}

static void read_path(struct field_context *c, const cJSON *v, const char **to)
{
    if (!cJSON_IsString(v) || !v->valuestring[0])
        task_fail(c->task, "\"%s\" must be a path", v->string);
    else
        *to = v->valuestring;
}

static void read_python(struct field_context *c, const cJSON *v)
{
    read_path(c, v, &c->options->python);
}

static void read_venv(struct field_context *c, const cJSON *v)
{
    read_path(c, v, &c->options->venv);
}

static void read_setup(struct field_context *c, const cJSON *v)
{
    const char *colon = cJSON_IsString(v) ? strchr(v->valuestring, ':') : NULL;
    if (!colon || colon == v->valuestring || !colon[1] || v->valuestring[0] == '-')
        task_fail(c->task, "\"setup\" must be a string of the form module:function");
    else
        c->options->setup = v->valuestring;
}

static void read_env(struct field_context *c, const cJSON *v)
{
    struct words env = {0};
    const cJSON *e;
    if (!cJSON_IsObject(v)) task_fail(c->task, "\"env\" must be an object of strings");
    cJSON_ArrayForEach(e, v)
    {
        if (!cJSON_IsString(e) || !e->string[0] || strchr(e->string, '=')) {
            task_fail(c->task, "\"env\": \"%s\" must be a name with a string", e->string ? e->string : "");
            continue;
        }
        char *line;
        if (asprintf(&line, "%s=%s", e->string, e->valuestring) < 0) BUG("out of memory for a variable");
        if (strcmp(e->string, "TMPDIR") == 0) c->task->own_tmpdir = false;
        words_add(&env, line);
        free(line);
    }
    environment_free(c->task->env);
    c->task->env = env.list;
}

static const struct {
    const char *name;
    void (*read)(struct field_context *c, const cJSON *v);
} fields[] = {
    {"command", read_command},
    {"mode", read_mode},
    {"processes", read_processes},
    {"item_timeout_s", read_item_timeout},
    {"start_timeout_s", read_start_timeout},
    {"memory_bytes", read_memory},
    {"max_items_per_process", read_max_items},
    {"env", read_env},
    {"idempotent", read_idempotent},
    {"description", read_description},
    {"signature", read_signature},
    {"example", read_example},
    {"cwd", read_cwd},
    {"envelope", read_envelope},
    {"ids", read_ids},
    {"ready", read_ready},
    {"common", read_common},
    {"traceparent", read_traceparent},
    {"input", read_input},
    {"output", read_output},
    {"append", read_append},
    {"batch", read_batch},
    {"concurrency", read_concurrency},
    {"setup", read_setup},
    {"python", read_python},
    {"venv", read_venv},
    {"row", read_row},
    {"placeholder", read_placeholder},
    {"host_options", read_host_options},
    {"error_output_bytes", read_error_bytes},
    {"own_tmpdir", read_own_tmpdir},
    {"in_order", read_in_order},
};

static void read_field(struct field_context *c, const cJSON *v)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (strcmp(fields[i].name, v->string) != 0) continue;
        fields[i].read(c, v);
        return;
    }
    task_fail(c->task, "unknown field \"%s\"", v->string);
}

/* ---- the file ---- */

/* Sets t->error if "command" is a command line as in a shell, such as the string "wc -c". If "command" is a string, the
 * string must be the name of the program, without arguments. */
static void check_one_string(struct task *t, const cJSON *command)
{
    if (!command || !cJSON_IsString(command) || !strchr(command->valuestring, ' ')) return;
    char *path = find_program(command->valuestring, t->cwd);
    if (access(path, X_OK) != 0)
        task_fail(t,
                  "\"command\": there is no program \"%s\". Write the program and its arguments as an array, such as "
                  "[\"wc\", \"-c\"]",
                  command->valuestring);
    free(path);
}

/* Appends task.json to `text`, and checks the JSON. Byte offsets in messages count from the start of the file. */
static bool read_text(struct task *t, const char *path, struct buf *text)
{
    char why[200];
    size_t offset;
    const char *error;
    if (!regular_file_read(path, text, why, sizeof why)) {
        task_fail(t, "%s: %s", path, why);
        return false;
    }
    enum encoding encoding = encoding_of(text->data, text->len);
    size_t mark = encoding_mark_bytes(encoding);
    if (encoding_is_wide(encoding)) {
        task_fail(t, "%s is in %s, and must be in UTF-8", path, encoding_name(encoding));
        return false;
    }
    if (!json_valid(text->data + mark, text->len - mark, &offset, &error)) {
        task_fail(t, "%s is not valid JSON at byte %zu: %s", path, mark + offset, error);
        return false;
    }
    if (!json_own_check(text->data + mark, text->len - mark, &offset, &error)) {
        task_fail(t, "%s, at byte %zu: %s", path, mark + offset, error);
        return false;
    }
    buf_drop_front(text, mark);
    return true;
}

/* If the reason does not contain the path of task.json, puts the path before the reason. */
static void name_file(struct task *t, const char *path)
{
    if (strstr(t->error, path)) return;
    char *reason = t->error;
    t->error = NULL;
    task_fail(t, "%s: %s", path, reason);
    free(reason);
}

static void check_python(struct task *t, const struct command_options *o)
{
    const char *field = o->batch ? "batch" : o->setup ? "setup" : o->python ? "python" : o->venv ? "venv" : NULL;
    if (field && t->mode != TASK_PYTHON) task_fail(t, "\"%s\" is for mode python only", field);
    if (o->python && o->venv) task_fail(t, "\"python\" and \"venv\" cannot be given together");
    if (o->batch && t->idempotent == IDEMPOTENCY_NO)
        task_fail(t, "\"batch\" needs items that may run again: \"idempotent\" cannot be false");
}

static void check_concurrency(struct task *t, const struct command_options *o)
{
    if (!t->concurrency) return;
    if (t->mode != TASK_PYTHON && !t->ids)
        task_fail(t, "\"concurrency\" is for mode python, and for mode stream with \"ids\"");
    if (o->batch) task_fail(t, "\"batch\" and \"concurrency\" cannot be given together");
    if (t->idempotent == IDEMPOTENCY_NO)
        task_fail(t, "\"concurrency\" needs items that may run again: \"idempotent\" cannot be false");
}

static void read_members(struct task *t, const cJSON *json, const char *path, const char *hosts_dir)
{
    struct command_options options = {0};
    struct field_context c = {.task = t, .options = &options};
    const cJSON *v;
    if (!cJSON_IsObject(json)) task_fail(t, "%s must be an object", path);
    if (!t->error) cJSON_ArrayForEach(v, json) read_field(&c, v);
    if (!t->error && !options.command) task_fail(t, "\"command\" is missing");
    if (t->ids && t->mode != TASK_STREAM) task_fail(t, "\"ids\" is for mode stream only");
    if (t->ready && !t->ids) task_fail(t, "\"ready\" is for mode stream with \"ids\" only");
    if (t->ids && !t->envelope) task_fail(t, "\"ids\" needs envelopes: \"envelope\" cannot be false");
    if (options.host_options && t->mode != TASK_EXEC) task_fail(t, "\"host_options\" is for mode exec only");
    check_python(t, &options);
    check_concurrency(t, &options);
    if (!t->error && (t->mode == TASK_STREAM || t->mode == TASK_EXEC)) check_one_string(t, options.command);
    if (t->error) {
        name_file(t, path);
        return;
    }
    task_build_command(t, &options, hosts_dir);
    t->env = environment_of_task(t->env, t->name, t->folder);
}

void task_read_json(struct task *t, const char *path, const char *hosts_dir)
{
    struct buf text;
    buf_init(&text, TASK_JSON_BYTES);
    if (read_text(t, path, &text)) {
        cJSON *json = cJSON_ParseWithLength(text.data, text.len);
        if (json)
            read_members(t, json, path, hosts_dir);
        else
            task_fail(t, "%s is nested too deeply", path);
        cJSON_Delete(json);
    }
    buf_release(&text);
}
