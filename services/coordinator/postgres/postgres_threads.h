/* What the two threads of the PostgreSQL back end share. Each thread has one connection. */
#ifndef FANTAIL_COORDINATOR_POSTGRES_POSTGRES_THREADS_H
#define FANTAIL_COORDINATOR_POSTGRES_POSTGRES_THREADS_H

#include "coordinator/postgres/postgres_internal.h"
#include "coordinator/postgres/store_postgres.h"

/* The connection of a thread, and the time of the next attempt to connect. */
struct postgres_link {
    struct postgres_db db;
    uint64_t retry_ns, retry_wait_ns;
};

struct postgres_store {
    struct store_threads threads;
    struct postgres_source source;
    char owner[UUID_TEXT_SIZE], name[80];
    struct postgres_link writer, reader; /* each is used only by its own thread */
    struct postgres_metrics *metrics;
    enum postgres_state logged;                 /* used on the thread of the loop */
    struct postgres_news write_news, read_news; /* protected by the lock of the threads */
    bool lacks_commits;                         /* protected by the lock; a loss of commits that is not logged yet */
};

static inline struct postgres_store *postgres_store_of(struct store_threads *t)
{
    return CONTAINER_OF(t, struct postgres_store, threads);
}

/* If there is no connection and the next attempt is due, connects. Returns whether there is a connection. */
MUST_CHECK bool postgres_ensure_connected(struct postgres_link *k);
/* Call it when the connection has just been lost. Reports the loss, and closes the connection. */
void postgres_note_loss(struct postgres_link *k);
/* Reports the last change of the connection's state to the thread of the loop. */
void postgres_publish(struct postgres_db *d);
/* Runs the function of the call's operation. */
void postgres_carry_out(struct postgres_db *d, struct store_call *c);

/* The function of the writer's thread, in postgres_writer.c. `side` is a struct store_side. */
void postgres_write(void *side);

#endif
