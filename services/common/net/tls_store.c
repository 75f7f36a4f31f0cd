#include <sys/stat.h>

#include "common/net/tls_material.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

/* How often the files are checked. A change is used when the next check finds no further change. */
#define CHECK_MS 2000

enum { RELOAD_FAILED, RELOAD_OK };
static const char *const reload_results[] = {[RELOAD_FAILED] = "failed", [RELOAD_OK] = "ok"};

static bool has_files(const struct tls_store *t)
{
    return t->files.path[TLS_CERT] || t->files.path[TLS_KEY] || t->files.path[TLS_CA];
}

/* Notes a stamp of each file. stat() follows links, so a link that was swapped gives another inode. A missing file has
 * a stamp of zeros. */
static void read_stamps(const struct tls_store *t, struct tls_stamp *stamps)
{
    memset(stamps, 0, TLS_FILE_COUNT * sizeof *stamps);
    for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
        struct stat s;
        if (!t->files.path[i] || stat(t->files.path[i], &s) < 0) continue;
        stamps[i].device = s.st_dev;
        stamps[i].inode = s.st_ino;
        stamps[i].size = s.st_size;
        stamps[i].changed = s.st_mtim;
    }
}

static bool same(const struct tls_stamp *a, const struct tls_stamp *b)
{
    for (size_t i = 0; i < TLS_FILE_COUNT; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size ||
            a[i].changed.tv_sec != b[i].changed.tv_sec || a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    return true;
}

static void log_current(const struct tls_store *t)
{
    const struct tls_material *m = t->current;
    const char *use = t->words->use;
    if (!m->has_own) {
        log_info("certificate authorities read", LOG_STR("use", use));
    } else if (m->not_after <= time(NULL)) {
        log_warn("THE CERTIFICATE HAS EXPIRED: peers will refuse it", LOG_STR("use", use),
                 LOG_STR("subject", m->subject), LOG_STR("not_after", m->ends),
                 LOG_STR("file", t->files.path[TLS_CERT]));
    } else {
        log_info("certificate read", LOG_STR("use", use), LOG_STR("subject", m->subject),
                 LOG_STR("not_after", m->ends));
    }
}

static double not_after(void *store)
{
    const struct tls_store *t = store;
    return t->current ? (double)t->current->not_after : 0;
}

static void register_metrics(struct tls_store *t)
{
    for (int i = 0; i < 2; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "use", t->words->use);
        if (i == 0)
            metric_gauge_fn("fantail_tls_certificate_not_after_seconds",
                            "When the certificate in use ends, in seconds since 1970; 0 without one.",
                            buf_cstr(&labels), not_after, t);
        metric_add_label(&labels, "result", reload_results[i]);
        t->reloads[i] =
            metric_counter("fantail_tls_reloads_total", "How often certificates were read again.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

bool tls_store_init(struct tls_store *t, const struct tls_files *files, const struct tls_words *words,
                    const char **option, char *err, size_t err_size)
{
    *t = (struct tls_store){.files = *files, .words = words};
    register_metrics(t);
    if (!has_files(t)) return true;
    read_stamps(t, t->read);
    memcpy(t->seen, t->read, sizeof t->seen);
    t->current = tls_material_load(files, words, option, err, err_size);
    if (t->current) log_current(t);
    return t->current;
}

void tls_store_reload(struct tls_store *t)
{
    const char *option;
    char err[512];
    if (!has_files(t)) return;
    read_stamps(t, t->read); /* the stamps are read first, so that a change during the reading is noticed */
    memcpy(t->seen, t->read, sizeof t->seen);
    struct tls_material *fresh = tls_material_load(&t->files, t->words, &option, err, sizeof err);
    ++*t->reloads[fresh ? RELOAD_OK : RELOAD_FAILED];
    if (!fresh) {
        log_error("certificates could not be read again; the old ones stay in use", LOG_STR("option", option),
                  LOG_STR("error", err));
        return;
    }
    tls_material_unref(t->current);
    t->current = fresh;
    log_current(t);
}

static void on_check(uv_timer_t *timer)
{
    struct tls_store *t = timer->data;
    struct tls_stamp now[TLS_FILE_COUNT];
    read_stamps(t, now);
    bool settled = same(now, t->seen);
    memcpy(t->seen, now, sizeof now);
    if (settled && !same(now, t->read)) tls_store_reload(t);
}

void tls_store_watch(struct tls_store *t, uv_loop_t *loop)
{
    if (!has_files(t)) return;
    t->timer = xcalloc(1, sizeof *t->timer);
    uv_timer_init(loop, t->timer);
    t->timer->data = t;
    uv_timer_start(t->timer, on_check, CHECK_MS, CHECK_MS);
    uv_unref((uv_handle_t *)t->timer);
}

void tls_store_release(struct tls_store *t)
{
    if (t->timer) uv_close((uv_handle_t *)t->timer, (uv_close_cb)free);
    t->timer = NULL;
    tls_material_unref(t->current);
    t->current = NULL;
}
