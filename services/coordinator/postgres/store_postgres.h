/*
 * The PostgreSQL back end of the job store: many coordinators share one database (PostgreSQL 14 or later).
 *
 * Opening the store does not wait for a connection: the threads of the store connect later. So the database may be
 * unreachable at the start, or at any later time. While the database is unreachable, calls end as STORE_AWAY, and the
 * log and the metrics show the state. Leases use the clock of the database.
 */
#ifndef FANTAIL_COORDINATOR_POSTGRES_STORE_POSTGRES_H
#define FANTAIL_COORDINATOR_POSTGRES_STORE_POSTGRES_H

#include "coordinator/store/store.h"

/* The URL of the database, or a file with the URL. The file is read again for each connection, because the password in
 * it may change. Both are borrowed. */
struct postgres_source {
    const char *url;  /* NULL: the URL is in the file */
    const char *file; /* NULL: there is no file */
};

/* Returns whether the text begins like a PostgreSQL URL. */
bool postgres_is_url(const char *text);
/* If libpq does not understand the URL, or the file cannot be read, returns false and writes a sentence that does not
 * quote the URL. */
MUST_CHECK bool postgres_source_check(const struct postgres_source *source, char *err, size_t err_size);

/* The state of the connections to the database. */
enum postgres_state {
    POSTGRES_CONNECTING,  /* no attempt to connect has ended yet */
    POSTGRES_READY,       /* calls succeed */
    POSTGRES_UNREACHABLE, /* no server answers at the address, or the connection was lost */
    POSTGRES_STARTING,    /* the server starts, recovers or shuts down */
    POSTGRES_NO_LOGIN,    /* the password, the user, the database or the file of the URL is wrong */
    POSTGRES_NO_TLS,      /* the server has no TLS, or no certificate that the URL accepts */
    POSTGRES_CROWDED,     /* the server has reached its limit of connections */
    POSTGRES_READ_ONLY,   /* the server is a standby, or is read-only */
    POSTGRES_SLOW,        /* the server did not answer in time */
    POSTGRES_UNFIT,       /* this fantail cannot use the server, or the schema in it */
    POSTGRES_STATE_COUNT
};

struct postgres_metrics {
    int64_t *states[POSTGRES_STATE_COUNT]; /* 1 for the current state of the store, 0 for all other states */
};
void postgres_register_metrics(struct postgres_metrics *m);

/* Opens the store. `metrics` is borrowed; NULL: none. If the threads of the store cannot be started, returns NULL, with
 * a sentence in err.
 */
MUST_CHECK struct store *store_postgres_open(struct uv_loop_s *loop, const struct postgres_source *source,
                                             struct postgres_metrics *metrics, char *err, size_t err_size);

#endif
