/*
 * A proxy between the store and its server. The proxy runs on its own thread. The proxy can cut a connection at a
 * commit: before the server has received the commit, or before the store has received the reply.
 */
#ifndef FANTAIL_TEST_CUTTING_PROXY_H
#define FANTAIL_TEST_CUTTING_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

enum cut { CUT_NOTHING, CUT_COMMIT, CUT_REPLY };

enum { PROXY_PAIRS = 16 };

struct cutting_proxy {
    int listener, port, server_port;
    pthread_t thread;
    atomic_int cut;      /* where to cut the next connection; CUT_NOTHING again after one cut */
    atomic_bool refuses; /* the proxy closes new connections immediately */
    atomic_bool ends;
    int pairs[PROXY_PAIRS][2]; /* client and server; -1: none */
    int waits_for_reply;       /* the pair that is cut at its next reply; -1: none */
};

void cutting_proxy_start(struct cutting_proxy *p, int server_port);
void cutting_proxy_stop(struct cutting_proxy *p);

#endif
