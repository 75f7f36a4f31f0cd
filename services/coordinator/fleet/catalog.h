/*
 * Which tasks the workers have, as one of them said last. Asked when an endpoint appears and again when somebody names
 * a task that is not in it, so that a task installed a moment ago is found. Workers are taken to be alike; one that
 * lacks a task says so itself when it is sent a chunk of it.
 */
#ifndef FANTAIL_COORDINATOR_FLEET_CATALOG_H
#define FANTAIL_COORDINATOR_FLEET_CATALOG_H

#include "common/base/buf.h"
#include "common/http_client/http_client.h"

struct catalog_task {
    char *name;
    char *error; /* why it cannot run; NULL: it can */
    bool idempotent;
};

struct catalog_question;

struct catalog {
    struct http_client *client;
    const char *authorization; /* a header line to send; NULL: none; borrowed, may change between questions */
    struct catalog_task *tasks;
    size_t count;
    bool known;          /* some worker has answered */
    bool refused;        /* the last one asked did not take our token */
    char fault[400];     /* why the last one asked could not be; "" when it could */
    struct buf document; /* its answer, as GET /v1/tasks gives it on */
    struct http_call *call;
    struct buf incoming;
    struct catalog_question *questions;
};

void catalog_init(struct catalog *c, struct http_client *client);
void catalog_release(struct catalog *c);

/* NULL when it is not known. Borrowed until the loop turns. */
const struct catalog_task *catalog_find(const struct catalog *c, const char *name);

/* Asks the worker at url anew; then answered(data, ok), unless the question is dropped before. connect_to may be NULL.
 * A question while one is under way shares its answer. */
struct catalog_question *catalog_ask(struct catalog *c, const char *url, const char *connect_to,
                                     void (*answered)(void *data, bool ok), void *data);
void catalog_drop(struct catalog *c, struct catalog_question *q);

/* Appends "square, primes and wordcount", or "none". */
void catalog_list_names(const struct catalog *c, struct buf *out);

#endif
