/*
 * Reads certificates from files, checks them, and reads them again when the files change. A `struct tls_store` holds
 * the files of a server or of a client. A server has its own certificate and the authorities of its clients. A client
 * has its own certificate and the authorities of its servers. A `struct tls_material` holds what was read from the
 * files. This struct is never changed: when the files change, a new one is made. A connection keeps the material with
 * which it began, even if the store already has newer material.
 *
 * The files are read again when they have changed (file_watch.h). If the new files cannot be used, the old material
 * stays in use and an error is logged.
 *
 * This module does not depend on sockets or HTTP. Single-threaded.
 */
#ifndef FANTAIL_COMMON_NET_TLS_MATERIAL_H
#define FANTAIL_COMMON_NET_TLS_MATERIAL_H

#include <gnutls/gnutls.h>
#include <time.h>
#include <uv.h>

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/net/file_watch.h"

enum tls_file { TLS_CERT, TLS_KEY, TLS_CA, TLS_FILE_COUNT };

/* Paths; NULL: none. Either both a certificate and its key are given, or neither. */
struct tls_files {
    const char *path[TLS_FILE_COUNT];
};

/* How messages and metrics name these files. */
struct tls_words {
    const char *option[TLS_FILE_COUNT]; /* without dashes */
    const char *use;                    /* label of the metrics: "server", "client" */
};

struct tls_material {
    unsigned references;
    struct buf pem[TLS_FILE_COUNT]; /* the bytes of the files, followed by a NUL that is not counted in len */
    gnutls_certificate_credentials_t credentials;
    bool has_own;      /* the material has a certificate and its key */
    time_t not_after;  /* the earliest expiry of a certificate in our chain; 0 without a certificate */
    char subject[256]; /* subject of our certificate; "" without one */
    char ends[32];     /* not_after as text */
};

/* Reads and checks the files. On failure it returns NULL, with a sentence in err, and sets *option to the option that
 * the sentence is about. */
MUST_CHECK struct tls_material *tls_material_load(const struct tls_files *files, const struct tls_words *words,
                                                  const char **option, char *err, size_t err_size);
struct tls_material *tls_material_ref(struct tls_material *m);
/* NULL is fine. */
void tls_material_unref(struct tls_material *m);

struct tls_store {
    struct tls_files files;
    const struct tls_words *words;
    struct tls_material *current; /* borrow it only for one function call; to keep it, take a reference */
    struct file_watch watch;
    uint64_t *reloads[2]; /* counters: failed, ok */
};
static_assert(TLS_FILE_COUNT <= FILE_WATCH_MAX, "all files are watched");

/* Reads the files, and registers the metrics. On failure it returns false, and sets err and *option like
 * tls_material_load(). If no path is given, the store is empty, and `current` is NULL. `words` is borrowed. */
MUST_CHECK bool tls_store_init(struct tls_store *t, const struct tls_files *files, const struct tls_words *words,
                               const char **option, char *err, size_t err_size);
/* Begins to watch the files for changes. The watch does not keep the loop alive. */
void tls_store_watch(struct tls_store *t, uv_loop_t *loop);
/* Reads the files again now, even if they have not changed. */
void tls_store_reload(struct tls_store *t);
/* Releasing a zeroed store is fine. The loop must keep running until the timer of the watch is closed. */
void tls_store_release(struct tls_store *t);

#endif
