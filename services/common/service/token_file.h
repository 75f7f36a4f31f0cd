/*
 * The tokens of one file, read again when it changes (file_watch.h) and when the owner asks. If a new content cannot be
 * used, the old tokens stay and the log has an error. The metrics show each token by its fingerprint (tokens.h).
 *
 * Owner: the struct that embeds it. A zeroed one has no tokens, and may be released.
 */
#ifndef FANTAIL_COMMON_SERVICE_TOKEN_FILE_H
#define FANTAIL_COMMON_SERVICE_TOKEN_FILE_H

#include "common/net/file_watch.h"
#include "common/service/tokens.h"

struct token_file {
    const char *option; /* how messages name it, without dashes */
    const char *path;   /* NULL: there is no file, so no tokens; borrowed */
    struct tokens tokens;

    /* Private. */
    struct file_watch watch;
    uint64_t *reloads[2]; /* counters: failed, ok */
    void (*changed)(void *data);
    void *data;
};

/* Reads the file, and registers the counter of its reloads. True without a file. False with a sentence in err. */
MUST_CHECK bool token_file_open(struct token_file *f, const char *option, const char *path, char *err, size_t err_size);
/* From now on the file is read again when it changes. changed(data) comes whenever it was read again; it may be
 * NULL. */
void token_file_watch(struct token_file *f, uv_loop_t *loop, void (*changed)(void *data), void *data);
/* Reads it again now, changed or not. */
void token_file_reload(struct token_file *f);
/* The same, but only if it has changed since it was read. A peer does not know our token, so there may be a new one. */
void token_file_refresh(struct token_file *f);
/* The loop must run on to close the handle. The tokens stay. */
void token_file_stop(struct token_file *f);
void token_file_release(struct token_file *f);

#endif
