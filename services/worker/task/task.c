#include "worker/task/task.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json/json_scan.h"
#include "worker/task/task_internal.h"

static const char *const mode_names[] = {"stream", "exec", "native", "python"};
static_assert(ARRAY_SIZE(mode_names) == TASK_MODE_COUNT, "a name for each mode");

const char *task_mode_name(enum task_mode mode)
{
    return mode_names[mode];
}

bool task_mode_parse(const char *word, enum task_mode *mode)
{
    for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (strcmp(word, mode_names[i]) != 0) continue;
        *mode = (enum task_mode)i;
        return true;
    }
    return false;
}

struct task *task_ref(struct task *t)
{
    t->refs++;
    return t;
}

static void free_words(const char **words)
{
    for (size_t i = 0; words && words[i]; i++) free((void *)(uintptr_t)words[i]);
    free(words);
}

void task_unref(struct task *t)
{
    if (!t || --t->refs) return;
    free(t->name);
    free(t->error);
    free(t->description);
    free(t->signature);
    free(t->example);
    free(t->folder);
    free(t->cwd);
    free(t->path);
    free_words(t->argv);
    free_words(t->env);
    free(t);
}

void task_fail(struct task *t, const char *fmt, ...)
{
    if (t->error) return;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&t->error, fmt, args) < 0) BUG("no memory for the text of an error");
    va_end(args);
}

static bool is_executable_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *path_join(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0) BUG("out of memory for a path");
    return path;
}

/* Returns the path of the program that the first word of a command names. A relative path is relative to `cwd`. A word
 * without "/" is looked up in `cwd` first, then in PATH. The program need not exist. If it does not exist, the error is
 * reported when the program is started. */
char *find_program(const char *word, const char *cwd)
{
    if (word[0] == '/') return xstrdup(word);
    char *own = path_join(cwd, word);
    if (strchr(word, '/') || is_executable_file(own)) return own;
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t len = strcspn(at, ":");
        char *dir = xstrndup(at, len), *file = path_join(len ? dir : ".", word);
        free(dir);
        if (is_executable_file(file)) {
            free(own);
            return file;
        }
        free(file);
        at += len + (at[len] == ':');
    }
    return own;
}

static bool is_regular_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* If the word names a file in the task's folder, replaces the word by the absolute path of the file. */
static void name_by_path(const struct task *t, const char **word)
{
    if ((*word)[0] == '/') return;
    char *file = path_join(t->folder, *word);
    if (is_regular_file(file)) {
        free((void *)(uintptr_t)*word);
        *word = file;
    } else {
        free(file);
    }
}

void task_run_in(struct task *t, const char *cwd)
{
    if (t->error || t->has_cwd) return;
    free(t->cwd);
    t->cwd = xstrdup(cwd);
    if (t->mode == TASK_PYTHON) return; /* the host of Python tasks gets the folder as an option */
    const char **word = t->argv + (t->command - t->argv);
    bool is_program_of_path = t->mode != TASK_NATIVE && !strchr(*word, '/');
    for (word += is_program_of_path; *word; word++) name_by_path(t, word);
}

static bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* Returns the name of a folder as UTF-8. Because a file name may contain any bytes, a byte that is not valid UTF-8
 * becomes an escape such as "\xE9". */
static char *shown_name(const char *name)
{
    struct buf b = {0};
    size_t len = strlen(name);
    for (size_t at = 0; at < len; at++) {
        size_t n = json_text_length(name + at, len - at);
        buf_add(&b, name + at, n);
        at += n;
        if (at == len) break;
        if ((unsigned char)name[at] >= 0x80)
            buf_addf(&b, "\\x%02X", (unsigned char)name[at]);
        else
            buf_add_char(&b, name[at]);
    }
    buf_add_char(&b, '\0');
    return buf_detach(&b, &len);
}

static struct task *new_task(const char *name)
{
    struct task *t = xcalloc(1, sizeof *t);
    *t = (struct task){
        .refs = 1,
        .name = shown_name(name),
        .own_tmpdir = true,
        .envelope = true,
        .batch = 1,
        .error_bytes = DEFAULT_ERROR_TAIL_BYTES,
        .start_timeout_ns = DEFAULT_START_TIMEOUT_S * NS_PER_S,
    };
    if (!is_task_name(name, strlen(name))) task_fail(t, "this is not a valid task name: " TASK_NAME_RULE);
    return t;
}

static void set_folder(struct task *t, const char *path)
{
    t->folder = xstrdup(path);
    t->cwd = xstrdup(path);
}

struct task *task_load(const char *dir, const char *name, const char *hosts_dir)
{
    struct task *t = new_task(name);
    if (t->error) return t;
    char *base = path_join(dir, name), *real = realpath(base, NULL);
    char *json = path_join(base, "task.json"), *program = path_join(base, name);
    struct stat st;
    if (!real || stat(real, &st) < 0) {
        task_fail(t, "%s: %s", base, strerror(errno));
    } else if (S_ISDIR(st.st_mode) && file_exists(json)) {
        set_folder(t, real);
        task_read_json(t, json, hosts_dir);
    } else if (S_ISDIR(st.st_mode) && is_executable_file(program)) {
        set_folder(t, real);
        task_set_bare(t, name, hosts_dir);
    } else if (is_executable_file(real)) {
        char *parent = realpath(dir, NULL);
        set_folder(t, parent ? parent : dir);
        free(parent);
        task_set_bare(t, name, hosts_dir);
    } else {
        task_fail(t, "%s has neither a task.json nor an executable %s", base, name);
    }
    free(base);
    free(real);
    free(json);
    free(program);
    return t;
}

/* ---- the set ---- */

struct task *task_set_find(const struct task_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->list[i]->name, name) == 0) return set->list[i];
    return NULL;
}

void task_set_release(struct task_set *set)
{
    for (size_t i = 0; i < set->count; i++) task_unref(set->list[i]);
    free(set->list);
    *set = (struct task_set){0};
}

void task_set_run_in(const struct task_set *set, const char *cwd)
{
    for (size_t i = 0; i < set->count; i++) task_run_in(set->list[i], cwd);
}

/* Returns whether the entry may be a task. A directory always counts as a task. A file counts only if it is executable,
 * so a README does not count. */
static bool is_candidate(const char *dir, const char *name)
{
    if (name[0] == '.' || name[0] == '_') return false;
    char *path = path_join(dir, name);
    struct stat st;
    bool ok = stat(path, &st) == 0 && (S_ISDIR(st.st_mode) || is_executable_file(path));
    free(path);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    const struct task *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Returns whether `set` has the task and can run it. */
static bool can_run(const struct task_set *set, const char *name)
{
    const struct task *t = set ? task_set_find(set, name) : NULL;
    return t && !t->error;
}

static bool load_dir(struct task_set *set, const struct task_set *known, const char *dir, const char *hosts_dir,
                     char *err, size_t err_size)
{
    DIR *d = opendir(dir);
    if (!d) {
        snprintf(err, err_size, "cannot read the tasks in %s: %s", dir, strerror(errno));
        return false;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (task_set_find(set, e->d_name) || can_run(known, e->d_name) || !is_candidate(dir, e->d_name)) continue;
        set->list = xrealloc(set->list, (set->count + 1) * sizeof *set->list);
        set->list[set->count++] = task_load(dir, e->d_name, hosts_dir);
    }
    closedir(d);
    return true;
}

bool task_set_load(struct task_set *set, const struct task_set *known, const char *dirs, const char *hosts_dir,
                   char *err, size_t err_size)
{
    *set = (struct task_set){0};
    bool ok = true;
    while (dirs && *dirs) {
        size_t len = strcspn(dirs, ":");
        char *dir = xstrndup(dirs, len);
        if (len && !load_dir(set, known, dir, hosts_dir, err, err_size)) ok = false;
        free(dir);
        dirs += len + (dirs[len] == ':');
    }
    if (set->count) qsort(set->list, set->count, sizeof *set->list, by_name);
    return ok;
}
