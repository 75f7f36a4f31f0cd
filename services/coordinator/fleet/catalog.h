/*
 * Which tasks the workers have, by the answer of the last one that was asked. A worker is asked when the first endpoint
 * appears, and again when a job names a task that the catalog does not have, so that a task installed a moment ago is
 * found. All workers are expected to have the same tasks. A worker without a task says so when it gets a chunk of it.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CATALOG_H
#define FANTAIL_COORDINATOR_FLEET_CATALOG_H

#include "common/base/buf.h"
#include "common/http_client/http_client.h"

struct catalog_task {
    char *name;
    char *error; /* why it cannot run; NULL: it can run */
    bool idempotent;
};

struct catalog_question;

struct catalog {
    struct http_client *client;
    const char *authorization; /* a header line to send; NULL: none. Borrowed; may change between questions */
    struct catalog_task *tasks;
    size_t count;
    bool known;          /* a worker has answered */
    bool rejects_token;  /* the last one asked rejected our token */
    char fault[400];     /* why the last one could not be asked; "": it could */
    struct buf document; /* its answer, as GET /v1/tasks passes it on */
    struct http_call *call;
    struct buf incoming;
    struct catalog_question *questions;
};

void catalog_init(struct catalog *c, struct http_client *client);
void catalog_release(struct catalog *c);

/* NULL: unknown. Borrowed until the next turn of the loop. */
const struct catalog_task *catalog_find(const struct catalog *c, const char *name);

/* Asks the worker at url, then calls answered(data, ok), unless the question is dropped before. connect_to may be NULL.
 * A question that comes while another one waits gets the same answer. */
struct catalog_question *catalog_ask(struct catalog *c, const char *url, const char *connect_to,
                                     void (*answered)(void *data, bool ok), void *data);
void catalog_drop(struct catalog *c, struct catalog_question *q);

/* Appends "square, primes and wordcount", or "none". */
void catalog_list_names(const struct catalog *c, struct buf *out);

#endif
