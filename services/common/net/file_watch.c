#include "common/net/file_watch.h"

#include <sys/stat.h>

/* Time between two checks of the files. A change is reported when the next check finds no further change. */
#define CHECK_MS 2000

/* stat() follows links, so the stamp has another inode after a link has changed. A missing file has a stamp of
 * zeros. */
static void read_stamps(const struct file_watch *w, struct file_stamp *stamps)
{
    memset(stamps, 0, FILE_WATCH_MAX * sizeof *stamps);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct stat s;
        if (!w->paths[i] || stat(w->paths[i], &s) < 0) continue;
        stamps[i].device = s.st_dev;
        stamps[i].inode = s.st_ino;
        stamps[i].size = s.st_size;
        stamps[i].changed = s.st_mtim;
    }
}

static bool same(const struct file_stamp *a, const struct file_stamp *b)
{
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size ||
            a[i].changed.tv_sec != b[i].changed.tv_sec || a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    return true;
}

void file_watch_init(struct file_watch *w, const char *const *paths, size_t count)
{
    if (count > FILE_WATCH_MAX) BUG("%zu files to watch", count);
    *w = (struct file_watch){0};
    for (size_t i = 0; i < count; i++) w->paths[i] = paths[i];
}

void file_watch_reading(struct file_watch *w)
{
    read_stamps(w, w->read);
    memcpy(w->seen, w->read, sizeof w->seen);
}

bool file_watch_differs(const struct file_watch *w)
{
    struct file_stamp now[FILE_WATCH_MAX];
    read_stamps(w, now);
    return !same(now, w->read);
}

static void on_check(uv_timer_t *timer)
{
    struct file_watch *w = timer->data;
    struct file_stamp now[FILE_WATCH_MAX];
    read_stamps(w, now);
    bool settled = same(now, w->seen);
    memcpy(w->seen, now, sizeof now);
    if (settled && !same(now, w->read)) w->changed(w->data);
}

void file_watch_start(struct file_watch *w, uv_loop_t *loop, void (*changed)(void *data), void *data)
{
    bool has_path = false;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) has_path |= w->paths[i] != NULL;
    if (!has_path) return;
    w->changed = changed;
    w->data = data;
    w->timer = xcalloc(1, sizeof *w->timer);
    uv_timer_init(loop, w->timer);
    w->timer->data = w;
    uv_timer_start(w->timer, on_check, CHECK_MS, CHECK_MS);
    uv_unref((uv_handle_t *)w->timer);
}

void file_watch_stop(struct file_watch *w)
{
    if (w->timer) uv_close((uv_handle_t *)w->timer, (uv_close_cb)free);
    w->timer = NULL;
}
