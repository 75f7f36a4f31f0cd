/* Builds the command line of a task from the fields of its task.json. */
#include <errno.h>
#include <unistd.h>

#include "worker/task/environment.h"
#include "worker/task/task_internal.h"

void words_add(struct words *w, const char *word)
{
    w->list = xrealloc(w->list, (w->count + 2) * sizeof *w->list);
    w->list[w->count++] = xstrdup(word);
    w->list[w->count] = NULL;
}

/* Returns the index of the command's first word. */
static size_t add_command(struct words *w, const cJSON *command)
{
    const cJSON *word;
    size_t first = w->count;
    if (!command) BUG("a task without a command was not refused");
    if (cJSON_IsString(command)) words_add(w, command->valuestring);
    cJSON_ArrayForEach(word, command) words_add(w, word->valuestring);
    if (w->count == first) BUG("an empty command was not refused");
    return first;
}

static void add_host(struct task *t, struct words *w, const char *hosts_dir, const char *host)
{
    free(t->path);
    t->path = path_join(hosts_dir, host);
    words_add(w, t->path);
}

/* Sets t->error if the host program cannot be run. If the host program is missing, task.json is not at fault: an image
 * may have only some of the host programs. */
static void check_host(struct task *t)
{
    if (access(t->path, X_OK) == 0) return;
    if (errno != ENOENT)
        task_fail(t, "%s: %s", t->path, strerror(errno));
    else if (t->mode == TASK_PYTHON)
        task_fail(
            t,
            "there is no host program %s, which runs Python tasks. The image fantail-worker-python has it, and the "
            "image fantail-worker does not",
            t->path);
    else
        task_fail(t, "there is no host program %s; see --hosts-dir", t->path);
}

static void add_option(struct words *w, const char *option, const char *value)
{
    words_add(w, option);
    words_add(w, value);
}

static void add_host_options(struct words *w, const cJSON *options)
{
    const cJSON *word;
    cJSON_ArrayForEach(word, options) words_add(w, word->valuestring);
}

static void add_number(struct words *w, const char *option, size_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", number);
    add_option(w, option, text);
}

/* Returns the path of the interpreter that task.json names; NULL if it names none. */
static char *find_interpreter(const struct task *t, const struct command_options *o)
{
    if (o->python) return find_program(o->python, t->cwd);
    if (!o->venv) return NULL;
    char *folder = o->venv[0] == '/' ? xstrdup(o->venv) : path_join(t->cwd, o->venv);
    char *program = path_join(folder, "bin/python");
    free(folder);
    return program;
}

/* Sets t->error if the interpreter cannot be run. */
static void check_interpreter(struct task *t, const struct command_options *o, const char *interpreter)
{
    if (access(interpreter, X_OK) == 0) return;
    if (o->python)
        task_fail(t, "\"python\": there is no program %s: %s", interpreter, strerror(errno));
    else
        task_fail(t, "\"venv\": there is no virtual environment with a program %s: %s", interpreter, strerror(errno));
}

static size_t add_python(struct task *t, struct words *w, const struct command_options *o, const char *hosts_dir)
{
    char *interpreter = find_interpreter(t, o);
    if (interpreter) words_add(w, interpreter);
    add_host(t, w, hosts_dir, "fantail-host-python");
    check_host(t);
    if (interpreter) {
        check_interpreter(t, o, interpreter);
        free(t->path);
        t->path = interpreter;
    }
    if (!t->has_cwd) add_option(w, "--folder", t->folder);
    if (o->batch) add_number(w, "--batch", t->batch);
    if (t->concurrency) add_number(w, "--concurrency", t->concurrency);
    if (o->setup) add_option(w, "--setup", o->setup);
    return add_command(w, o->command);
}

void task_build_command(struct task *t, const struct command_options *o, const char *hosts_dir)
{
    struct words w = {0};
    size_t first = 0;
    switch (t->mode) {
    case TASK_STREAM:
        first = add_command(&w, o->command);
        t->path = find_program(w.list[0], t->cwd);
        break;
    case TASK_EXEC:
        add_host(t, &w, hosts_dir, "fantail-host-exec");
        if (o->text) words_add(&w, "--text");
        if (o->append) words_add(&w, "--append");
        if (o->row) words_add(&w, "--row");
        if (o->placeholder) add_option(&w, "--placeholder", o->placeholder);
        if (o->output) add_option(&w, "--output", o->output);
        if (o->error_bytes) add_number(&w, "--error-bytes", t->error_bytes);
        add_host_options(&w, o->host_options);
        words_add(&w, "--");
        first = add_command(&w, o->command);
        break;
    case TASK_NATIVE:
        add_host(t, &w, hosts_dir, "fantail-host-native");
        first = add_command(&w, o->command);
        break;
    case TASK_PYTHON: first = add_python(t, &w, o, hosts_dir); break;
    case TASK_MODE_COUNT: BUG("no such mode");
    }
    t->argv = w.list;
    t->command = w.list + first;
    if (t->mode != TASK_STREAM) t->envelope = t->common = t->trace = t->ready = true;
    if (t->mode == TASK_EXEC || t->mode == TASK_NATIVE) check_host(t);
}

void task_set_bare(struct task *t, const char *program, const char *hosts_dir)
{
    struct words w = {0};
    char *path = path_join(t->cwd, program);
    t->mode = TASK_EXEC;
    add_host(t, &w, hosts_dir, "fantail-host-exec");
    words_add(&w, "--");
    words_add(&w, path);
    free(path);
    t->argv = w.list;
    t->command = w.list + w.count - 1;
    t->envelope = t->common = t->trace = t->ready = true;
    t->env = environment_of_task(t->env, t->name, t->folder);
    if (access(t->path, X_OK) != 0) task_fail(t, "%s: %s", t->path, strerror(errno));
}
