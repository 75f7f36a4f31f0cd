/*
 * Certificates from files: read, judged, and read again when they change. A `struct tls_store` is one side's set (the
 * server's own certificate and the authorities of its clients, or a client's and the authorities of its servers). What
 * was read is a `struct tls_material`, which never changes: connections hold the one they began with while the store
 * already gives a newer one to others.
 *
 * Kubernetes swaps a mounted Secret by a symbolic link, other tools write in place, file after file: so files are
 * looked at by their paths every few seconds, and read when they differ from what was read and have stopped changing.
 * What cannot be used leaves the old material in place, with an error in the log.
 *
 * Knows no sockets and no HTTP. Single-threaded.
 */
#ifndef FANTAIL_COMMON_NET_TLS_MATERIAL_H
#define FANTAIL_COMMON_NET_TLS_MATERIAL_H

#include <gnutls/gnutls.h>
#include <sys/types.h>
#include <time.h>
#include <uv.h>

#include "common/base/base.h"
#include "common/base/buf.h"

enum tls_file { TLS_CERT, TLS_KEY, TLS_CA, TLS_FILE_COUNT };

/* Paths, NULL for none. A key belongs to a certificate, so both are given or neither. */
struct tls_files {
    const char *path[TLS_FILE_COUNT];
};

/* What messages call them. */
struct tls_words {
    const char *option[TLS_FILE_COUNT]; /* without dashes */
    const char *use;                    /* label of the metrics: "server", "client" */
};

struct tls_material {
    unsigned references;
    struct buf pem[TLS_FILE_COUNT]; /* with a NUL behind, not counted; empty when there is no such file */
    gnutls_certificate_credentials_t credentials;
    bool has_own;      /* a certificate and its key */
    time_t not_after;  /* the earliest end of a certificate of our chain; 0 without one */
    char subject[256]; /* of our certificate; "" without one */
    char ends[32];     /* not_after as people read it */
};

/* Reads and judges. NULL with a sentence in err and the option that it is about in *option. */
MUST_CHECK struct tls_material *tls_material_load(const struct tls_files *files, const struct tls_words *words,
                                                  const char **option, char *err, size_t err_size);
struct tls_material *tls_material_ref(struct tls_material *m);
/* NULL is fine. */
void tls_material_unref(struct tls_material *m);

/* What is seen of a file without reading it. */
struct tls_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tls_store {
    struct tls_files files;
    const struct tls_words *words;
    struct tls_material *current; /* borrow it for one call, or take a reference */
    struct tls_stamp read[TLS_FILE_COUNT], seen[TLS_FILE_COUNT];
    uint64_t *reloads[2]; /* counters: failed, ok */
    uv_timer_t *timer;
};

/* Reads; false as with tls_material_load(). Files without any path give an empty store, whose current is NULL.
 * Registers the metrics. words is borrowed. */
MUST_CHECK bool tls_store_init(struct tls_store *t, const struct tls_files *files, const struct tls_words *words,
                               const char **option, char *err, size_t err_size);
/* From now on changes are noticed. Does not keep the loop alive. */
void tls_store_watch(struct tls_store *t, uv_loop_t *loop);
/* Reads again now, whatever the files look like. */
void tls_store_reload(struct tls_store *t);
/* May be called on a zeroed one. The loop closes the timer. */
void tls_store_release(struct tls_store *t);

#endif
