#include "worker/watch.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/observe/log.h"

/* One folder. */
struct watched {
    uv_fs_event_t event;
    struct watch *watch;
    struct watched *next;
    char *path;
    char *task; /* the task that the folder belongs to; NULL: a directory of tasks */
};

struct watch {
    uv_loop_t *loop;
    const char *dirs;
    void (*changed)(void *data, const char *const *names);
    void *data;
    uv_timer_t settle;
    uint64_t first_ns; /* the time of the first unreported change; 0: none */
    struct watched *folders;
    unsigned count;
    char **names; /* names of the changed tasks: names_n names, then NULL */
    size_t names_n;
    bool full_said;
};

static bool is_passed_over(const char *name)
{
    return name[0] == '.' || name[0] == '_';
}

static bool is_code(const char *folder, const char *name)
{
    static const char *const endings[] = {".py", ".so",  ".sh", ".js",  ".mjs", ".rb",
                                          ".pl", ".jar", ".R",  ".lua", ".php"};
    struct buf path = {0};
    struct stat st;
    if (strcmp(name, "task.json") == 0) return true;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
        if (strcmp(dot, endings[i]) == 0) return true;
    buf_addf(&path, "%s/%s", folder, name);
    bool is = stat(buf_cstr(&path), &st) == 0 && (S_ISDIR(st.st_mode) || (st.st_mode & S_IXUSR));
    buf_release(&path);
    return is;
}

static void add_name(struct watch *w, const char *name)
{
    for (size_t i = 0; i < w->names_n; i++)
        if (strcmp(w->names[i], name) == 0) return;
    w->names = xrealloc(w->names, (w->names_n + 2) * sizeof *w->names);
    w->names[w->names_n++] = xstrdup(name);
    w->names[w->names_n] = NULL;
}

static void free_names(struct watch *w)
{
    for (size_t i = 0; i < w->names_n; i++) free(w->names[i]);
    free(w->names);
    w->names = NULL;
    w->names_n = 0;
}

static void on_settled(uv_timer_t *timer);

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct watched *f = event->data;
    struct watch *w = f->watch;
    if (status < 0 || !name || is_passed_over(name)) return;
    if (f->task && !is_code(f->path, name)) return;
    add_name(w, f->task ? f->task : name);
    uint64_t now = now_ns();
    if (!w->first_ns) w->first_ns = now;
    uint64_t end = w->first_ns + WATCH_SETTLE_MAX_MS * NS_PER_MS, left = end > now ? (end - now) / NS_PER_MS : 0;
    uv_timer_start(&w->settle, on_settled, left < WATCH_SETTLE_MS ? left : WATCH_SETTLE_MS, 0);
}

static void on_folder_closed(uv_handle_t *handle)
{
    struct watched *f = handle->data;
    free(f->path);
    free(f->task);
    free(f);
}

/* Watches the folder at `path`. Returns false if the folder cannot be watched. */
static bool watch_folder(struct watch *w, const char *path, const char *task)
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

/* Watches the folder and the folders below it. `task` is NULL for a directory of tasks; each of its entries is a
 * task. */
static void watch_tree(struct watch *w, const char *path, const char *task, unsigned depth)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode) || !watch_folder(w, path, task)) return;
    DIR *d = depth < WATCH_DEPTH ? opendir(path) : NULL;
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (is_passed_over(e->d_name)) continue;
        struct buf below = {0};
        buf_addf(&below, "%s/%s", path, e->d_name);
        watch_tree(w, buf_cstr(&below), task ? task : e->d_name, depth + 1);
        buf_release(&below);
    }
    closedir(d);
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
    for (const char *dirs = w->dirs; dirs && *dirs;) {
        size_t len = strcspn(dirs, ":");
        char *dir = xstrndup(dirs, len);
        if (len) watch_tree(w, dir, NULL, 0);
        free(dir);
        dirs += len + (dirs[len] == ':');
    }
}

/* Folders may have been added, removed or replaced. So all folders are watched again before the tasks are read. */
static void on_settled(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    w->first_ns = 0;
    struct watched *before = w->folders;
    w->folders = NULL;
    w->count = 0;
    watch_all(w); /* called before the old watches end, so that no change is missed */
    unwatch(before);
    w->changed(w->data, (const char *const *)w->names);
    free_names(w);
}

struct watch *watch_start(uv_loop_t *loop, const char *dirs, void (*changed)(void *data, const char *const *names),
                          void *data)
{
    struct watch *w = xcalloc(1, sizeof *w);
    *w = (struct watch){.loop = loop, .dirs = dirs, .changed = changed, .data = data};
    uv_timer_init(loop, &w->settle);
    w->settle.data = w;
    watch_all(w);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    free_names(w);
    free(w);
}

void watch_stop(struct watch *w)
{
    if (!w) return;
    unwatch(w->folders);
    uv_close((uv_handle_t *)&w->settle, on_closed);
}
