#include "common/net/tls_material.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

enum { RELOAD_FAILED, RELOAD_OK };
static const char *const reload_results[] = {[RELOAD_FAILED] = "failed", [RELOAD_OK] = "ok"};

static bool has_files(const struct tls_store *t)
{
    return t->files.path[TLS_CERT] || t->files.path[TLS_KEY] || t->files.path[TLS_CA];
}

static void log_current(const struct tls_store *t)
{
    const struct tls_material *m = t->current;
    const char *use = t->words->use;
    if (!m->has_own) {
        log_info("the certificate authorities were read", LOG_STR("use", use));
    } else if (m->not_after <= time(NULL)) {
        log_warn("THE CERTIFICATE HAS EXPIRED: peers will refuse it", LOG_STR("use", use),
                 LOG_STR("subject", m->subject), LOG_STR("not_after", m->ends),
                 LOG_STR("file", t->files.path[TLS_CERT]));
    } else {
        log_info("the certificate was read", LOG_STR("use", use), LOG_STR("subject", m->subject),
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
                            "When the certificate in use expires, in seconds since 1970; 0 without a certificate.",
                            buf_cstr(&labels), not_after, t);
        metric_add_label(&labels, "result", reload_results[i]);
        t->reloads[i] = metric_counter("fantail_tls_reloads_total", "Reloads of certificates.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

bool tls_store_init(struct tls_store *t, const struct tls_files *files, const struct tls_words *words,
                    const char **option, char *err, size_t err_size)
{
    *t = (struct tls_store){.files = *files, .words = words};
    file_watch_init(&t->watch, files->path, TLS_FILE_COUNT);
    register_metrics(t);
    if (!has_files(t)) return true;
    file_watch_reading(&t->watch);
    t->current = tls_material_load(files, words, option, err, err_size);
    if (t->current) log_current(t);
    return t->current;
}

void tls_store_reload(struct tls_store *t)
{
    const char *option;
    char err[512];
    if (!has_files(t)) return;
    file_watch_reading(&t->watch);
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

static void on_change(void *store)
{
    tls_store_reload(store);
}

void tls_store_watch(struct tls_store *t, uv_loop_t *loop)
{
    file_watch_start(&t->watch, loop, on_change, t);
}

void tls_store_release(struct tls_store *t)
{
    file_watch_stop(&t->watch);
    tls_material_unref(t->current);
    t->current = NULL;
}
