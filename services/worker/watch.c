#include "worker/watch.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/observe/log.h"

/* A folder that is watched. */
struct watched {
    uv_fs_event_t event;
    struct watch *watch;
    struct watched *next;
    char *path;
    char *task; /* the task that the folder belongs to; NULL: a directory of tasks, or a folder above one */
    char *only; /* the only entry of the folder that counts; NULL: all count */
};

struct watched_task {
    struct watched_task *next;
    char *name;
    bool changed;      /* changed since the last report */
    unsigned reports;  /* number of reports without a quiet time between them */
    uint64_t event_ns; /* when the last change came */
};

struct watch {
    uv_loop_t *loop;
    const char *dirs;
    const struct watch_hooks *hooks;
    void *data;
    uv_timer_t settle;
    uint64_t first_ns; /* the time of the first unreported change; 0: none */
    struct watched *folders;
    unsigned count;
    uint64_t identity; /* identifies the directories of tasks; changes when one of them is replaced */
    bool is_missing;   /* a directory of tasks does not exist */
    bool above_seen;   /* since the last report, something has changed above a directory of tasks */
    struct watched_task *tasks;
    unsigned tasks_n;
    bool full_said, names_full_said;
};

static bool is_passed_over(const char *name)
{
    return name[0] == '.' || name[0] == '_';
}

static char *join(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0) BUG("out of memory for a path");
    return path;
}

/* ---- which changes count ---- */

static bool is_code(const char *name, const struct stat *st)
{
    static const char *const endings[] = {".py",  ".so", ".sh",  ".js",  ".mjs", ".cjs", ".ts", ".rb",  ".pl",
                                          ".jar", ".R",  ".lua", ".php", ".awk", ".sed", ".jl", ".wasm"};
    const char *dot = strrchr(name, '.');
    if (strcmp(name, "task.json") == 0) return true;
    for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
        if (strcmp(dot, endings[i]) == 0) return true;
    return S_ISREG(st->st_mode) && (st->st_mode & S_IXUSR);
}

/* Returns when the file was last changed, on the clock of now_ns(). The time is taken from st_ctim, because programs
 * can set the time of modification, but not st_ctim. If the file has just been removed, st->st_ctim is 0, and the
 * result is the present time. */
static uint64_t changed_at(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (now.tv_sec - st->st_ctim.tv_sec) * (int64_t)NS_PER_S + now.tv_nsec - st->st_ctim.tv_nsec;
    uint64_t now_mono = now_ns();
    bool known = st->st_ctim.tv_sec != 0 && age > 0 && (uint64_t)age < now_mono;
    return known ? now_mono - (uint64_t)age : now_mono;
}

static bool counts(const struct watched *f, const char *name)
{
    struct stat st = {0};
    char *path = join(f->path, name);
    bool exists = stat(path, &st) == 0;
    free(path);
    if (exists && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return false;
    return is_code(name, &st) || !f->watch->hooks->writes_itself(f->watch->data, f->task, changed_at(&st));
}

/* ---- what has changed ---- */

/* Forgets the tasks that have no unreported change and have not changed for WATCH_QUIET_NS. No information is lost,
 * because after a pause of this length the reports of a task are counted from 0 anyway. */
static void forget_quiet(struct watch *w, uint64_t now)
{
    for (struct watched_task **at = &w->tasks; *at;) {
        struct watched_task *t = *at;
        if (t->changed || now - t->event_ns < WATCH_QUIET_NS) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        w->tasks_n--;
        free(t->name);
        free(t);
    }
}

/* Returns NULL if too many names have changed. */
static struct watched_task *task_of(struct watch *w, const char *name, uint64_t now)
{
    struct watched_task *t = w->tasks;
    while (t && strcmp(t->name, name) != 0) t = t->next;
    if (t) return t;
    if (w->tasks_n == WATCH_NAMES_MAX) forget_quiet(w, now);
    if (w->tasks_n == WATCH_NAMES_MAX) {
        if (!w->names_full_said)
            log_warn("too many names change in the directories of tasks: changes of further names are ignored",
                     LOG_U64("names", w->tasks_n));
        w->names_full_said = true;
        return NULL;
    }
    t = xcalloc(1, sizeof *t);
    t->name = xstrdup(name);
    t->event_ns = now;
    t->next = w->tasks;
    w->tasks = t;
    w->tasks_n++;
    return t;
}

/* Returns false if the task, or the directory of tasks, has changed too often. */
static bool note_change(struct watch *w, const char *name, uint64_t now)
{
    struct watched_task *t = task_of(w, name, now);
    if (!t) return false;
    if (now - t->event_ns >= WATCH_QUIET_NS) t->reports = 0;
    t->event_ns = now;
    if (t->reports == WATCH_REPORTS_MAX) {
        log_warn("the files of a task keep changing: changes are ignored until the files stay unchanged for a minute",
                 LOG_STR("task", name));
        t->reports++;
    }
    if (t->reports > WATCH_REPORTS_MAX) return false;
    t->changed = true;
    return true;
}

/* Returns the names of the changed tasks. Free the list, but not the names. */
static const char **take_names(struct watch *w)
{
    size_t n = 0;
    for (const struct watched_task *t = w->tasks; t; t = t->next) n += t->changed;
    const char **names = xcalloc(n + 1, sizeof *names);
    n = 0;
    for (struct watched_task *t = w->tasks; t; t = t->next) {
        if (!t->changed) continue;
        t->changed = false;
        t->reports++;
        names[n++] = t->name;
    }
    return names;
}

static void on_settled(uv_timer_t *timer);

static void settle(struct watch *w, uint64_t now)
{
    if (!w->first_ns) w->first_ns = now;
    uint64_t end = w->first_ns + WATCH_SETTLE_MAX_MS * NS_PER_MS, left = end > now ? (end - now) / NS_PER_MS : 0;
    uv_timer_start(&w->settle, on_settled, left < WATCH_SETTLE_MS ? left : WATCH_SETTLE_MS, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct watched *f = event->data;
    struct watch *w = f->watch;
    uint64_t now = now_ns();
    if (status < 0 || !name) return;
    if (f->only ? strcmp(name, f->only) != 0 : is_passed_over(name)) return;
    if (f->task && !counts(f, name)) return;
    bool is_above = !f->task && f->only;
    w->above_seen |= is_above;
    if (is_above || note_change(w, f->task ? f->task : name, now)) settle(w, now);
}

/* ---- which folders are watched ---- */

static void on_folder_closed(uv_handle_t *handle)
{
    struct watched *f = handle->data;
    free(f->path);
    free(f->task);
    free(f->only);
    free(f);
}

/* Watches the folder at `path`. Returns false if the folder cannot be watched. */
static bool watch_folder(struct watch *w, const char *path, const char *task, const char *only)
{
    if (w->count >= WATCH_FOLDERS_MAX) {
        if (!w->full_said) log_warn("too many folders of tasks: not all are watched", LOG_U64("watched", w->count));
        w->full_said = true;
        return false;
    }
    struct watched *f = xcalloc(1, sizeof *f);
    f->watch = w;
    f->path = xstrdup(path);
    f->task = task ? xstrdup(task) : NULL;
    f->only = only ? xstrdup(only) : NULL;
    uv_fs_event_init(w->loop, &f->event);
    f->event.data = f;
    int error = uv_fs_event_start(&f->event, on_event, path, 0);
    if (error) {
        log_warn("a folder of tasks cannot be watched", LOG_STR("path", path), LOG_STR("error", uv_strerror(error)));
        uv_close((uv_handle_t *)&f->event, on_folder_closed);
        return false;
    }
    f->next = w->folders;
    w->folders = f;
    w->count++;
    return true;
}

/* Returns the folder that contains `path`. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* Watches one entry of the folder that contains `path`. */
static void watch_entry(struct watch *w, const char *path, const char *task)
{
    const char *slash = strrchr(path, '/');
    char *folder = folder_of(path);
    watch_folder(w, folder, task, slash ? slash + 1 : path);
    free(folder);
}

/* If `path` is a symbolic link, watches what it names. */
static void watch_target(struct watch *w, const char *path, const char *task)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode)) return;
    char *target = realpath(path, NULL);
    if (target) watch_entry(w, target, task);
    free(target);
}

/* Watches the folder and the folders below it. `task` is NULL for a directory of tasks; each of its entries is a
 * task. */
static void watch_tree(struct watch *w, const char *path, const char *task, unsigned depth)
{
    struct stat st;
    if (stat(path, &st) < 0) return;
    if (!S_ISDIR(st.st_mode)) {
        watch_target(w, path, task);
        return;
    }
    if (!watch_folder(w, path, task, NULL)) return;
    DIR *d = depth < WATCH_DEPTH ? opendir(path) : NULL;
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (is_passed_over(e->d_name)) continue;
        char *below = join(path, e->d_name);
        watch_tree(w, below, task ? task : e->d_name, depth + 1);
        free(below);
    }
    closedir(d);
}

/* Watches for the creation and the replacement of a directory of tasks. If folders above the directory are missing,
 * watches for the creation of the highest missing folder. For a relative path, this function does not look above the
 * working directory. If this process has no right to search the working directory, it cannot watch this directory. */
static void watch_above(struct watch *w, const char *dir)
{
    struct stat st;
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') len--;
    char *entry = xstrndup(dir, len), *folder = folder_of(entry);
    while (strcmp(folder, entry) != 0 && stat(folder, &st) < 0) {
        free(entry);
        entry = folder;
        folder = folder_of(entry);
    }
    watch_entry(w, entry, NULL);
    watch_target(w, dir, NULL);
    free(entry);
    free(folder);
}

static void unwatch(struct watched *folders)
{
    for (struct watched *f = folders, *next; f; f = next) {
        next = f->next;
        uv_close((uv_handle_t *)&f->event, on_folder_closed);
    }
}

static void watch_all(struct watch *w)
{
    struct stat st;
    w->identity = 0;
    w->is_missing = false;
    for (const char *dirs = w->dirs; dirs && *dirs;) {
        size_t len = strcspn(dirs, ":");
        char *dir = xstrndup(dirs, len);
        bool exists = len && stat(dir, &st) == 0;
        if (exists) w->identity = w->identity * 31 + st.st_ino * 7 + st.st_dev;
        if (len && !exists) w->is_missing = true;
        if (len) watch_tree(w, dir, NULL, 0);
        if (len) watch_above(w, dir);
        free(dir);
        dirs += len + (dirs[len] == ':');
    }
}

/* Folders may have been added, removed or replaced. So all folders are watched again before the tasks are read. */
static void on_settled(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    uint64_t identity = w->identity;
    struct watched *before = w->folders;
    w->first_ns = 0;
    w->folders = NULL;
    w->count = 0;
    watch_all(w); /* called before the old watches end, so that no change is missed */
    unwatch(before);
    const char **names = take_names(w);
    /* A missing directory may have been created, read and removed again since the last report. */
    bool replaced = w->identity != identity || (w->is_missing && w->above_seen);
    w->above_seen = false;
    if (replaced || names[0]) w->hooks->changed(w->data, replaced ? NULL : names);
    free(names);
    forget_quiet(w, now_ns());
}

struct watch *watch_start(uv_loop_t *loop, const char *dirs, const struct watch_hooks *hooks, void *data)
{
    struct watch *w = xcalloc(1, sizeof *w);
    *w = (struct watch){.loop = loop, .dirs = dirs, .hooks = hooks, .data = data};
    uv_timer_init(loop, &w->settle);
    w->settle.data = w;
    watch_all(w);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    for (struct watched_task *t = w->tasks, *next; t; t = next) {
        next = t->next;
        free(t->name);
        free(t);
    }
    free(w);
}

void watch_stop(struct watch *w)
{
    if (!w) return;
    unwatch(w->folders);
    uv_close((uv_handle_t *)&w->settle, on_closed);
}
