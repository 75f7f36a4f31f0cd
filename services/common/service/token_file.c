#include "common/service/token_file.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/observe/log.h"
#include "common/observe/metrics.h"

enum { RELOAD_FAILED, RELOAD_OK, RELOAD_RESULT_COUNT };

static const char *const reload_results[] = {[RELOAD_FAILED] = "failed", [RELOAD_OK] = "ok"};
static_assert(ARRAY_SIZE(reload_results) == RELOAD_RESULT_COUNT, "a name for each result");

static void register_metrics(struct token_file *f)
{
    for (int i = 0; i < RELOAD_RESULT_COUNT; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "option", f->option);
        metric_add_label(&labels, "result", reload_results[i]);
        f->reloads[i] =
            metric_counter("fantail_token_file_reloads_total", "Reloads of token files.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

bool token_file_open(struct token_file *f, const char *option, const char *path, char *err, size_t err_size)
{
    *f = (struct token_file){.option = option, .path = path};
    register_metrics(f);
    if (!path) return true;
    file_watch_init(&f->watch, &f->path, 1);
    file_watch_reading(&f->watch);
    return tokens_read(&f->tokens, path, err, err_size);
}

static void on_change(void *data)
{
    token_file_reload(data);
}

void token_file_watch(struct token_file *f, uv_loop_t *loop, void (*changed)(void *data), void *data)
{
    f->changed = changed;
    f->data = data;
    if (f->path) file_watch_start(&f->watch, loop, on_change, f);
}

static void log_tokens(const struct token_file *f)
{
    char fingerprint[TOKEN_FINGERPRINT_SIZE];
    token_fingerprint(tokens_first(&f->tokens), fingerprint);
    log_info("tokens were read again", LOG_STR("option", f->option), LOG_U64("tokens", f->tokens.count),
             LOG_STR("first", fingerprint));
}

void token_file_reload(struct token_file *f)
{
    struct tokens fresh;
    char err[512];
    if (!f->path) return;
    file_watch_reading(&f->watch);
    bool good = tokens_read(&fresh, f->path, err, sizeof err);
    ++*f->reloads[good ? RELOAD_OK : RELOAD_FAILED];
    if (!good) {
        log_error("the tokens could not be read again; the old ones stay in use", LOG_STR("option", f->option),
                  LOG_STR("error", err));
        return;
    }
    tokens_release(&f->tokens);
    f->tokens = fresh;
    log_tokens(f);
    if (f->changed) f->changed(f->data);
}

void token_file_refresh(struct token_file *f)
{
    if (f->path && file_watch_differs(&f->watch)) token_file_reload(f);
}

void token_file_stop(struct token_file *f)
{
    file_watch_stop(&f->watch);
}

void token_file_release(struct token_file *f)
{
    tokens_release(&f->tokens);
    f->path = NULL;
}

void token_fingerprint(const char *token, char fingerprint[TOKEN_FINGERPRINT_SIZE])
{
    unsigned char hash[32];
    fingerprint[0] = '\0';
    if (!token || gnutls_hash_fast(GNUTLS_DIG_SHA256, token, strlen(token), hash) != 0) return;
    snprintf(fingerprint, TOKEN_FINGERPRINT_SIZE, "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}
