/*
 * The tokens of one file. The file is read again when it changes (file_watch.h), and when the owner asks for another
 * read. If the new content is not valid, the old tokens stay in use and an error is logged. Logs and metrics show a
 * token only by its fingerprint.
 *
 * Owner: the struct that embeds it. A zeroed struct has no tokens, and may be released.
 */
#ifndef FANTAIL_COMMON_SERVICE_TOKEN_FILE_H
#define FANTAIL_COMMON_SERVICE_TOKEN_FILE_H

#include "common/net/file_watch.h"
#include "common/service/tokens.h"

struct token_file {
    const char *option; /* the option that names the file, for messages; without dashes */
    const char *path;   /* NULL: there is no file, and there are no tokens; borrowed */
    struct tokens tokens;

    /* Private. */
    struct file_watch watch;
    uint64_t *reloads[2]; /* counters: failed, ok */
    void (*changed)(void *data);
    void *data;
};

/* Reads the file, and registers the counters of its reloads. If `path` is NULL, reads nothing and returns true. On
 * failure it returns false, with a sentence in err. */
MUST_CHECK bool token_file_open(struct token_file *f, const char *option, const char *path, char *err, size_t err_size);
/* From now on the file is read again when it changes. changed(data) is called after each successful read. `changed` may
 * be NULL. */
void token_file_watch(struct token_file *f, uv_loop_t *loop, void (*changed)(void *data), void *data);
/* Reads the file again now, even if it has not changed. */
void token_file_reload(struct token_file *f);
/* Reads the file again if it has changed since it was last read. Call it when a peer rejects our token, because the
 * file may have a new token. */
void token_file_refresh(struct token_file *f);
/* Stops watching the file. The loop must keep running until the timer of the watch is closed. The tokens stay in
 * memory. */
void token_file_stop(struct token_file *f);
void token_file_release(struct token_file *f);

/* Writes a fingerprint, which names a token without revealing it: the first hexadecimal digits of the token's SHA-256.
 * If `token` is NULL, the fingerprint is "". */
#define TOKEN_FINGERPRINT_SIZE 9
void token_fingerprint(const char *token, char fingerprint[TOKEN_FINGERPRINT_SIZE]);

#endif
