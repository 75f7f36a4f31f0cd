/*
 * A proxy on a thread between the store and its server. It can cut a connection at a commit: before the server has got
 * the commit, or before the store has got the reply.
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
    atomic_int cut;      /* what is cut next; it is cut once */
    atomic_bool refuses; /* new connections are closed at once */
    atomic_bool ends;
    int pairs[PROXY_PAIRS][2]; /* client and server; -1: none */
    int waits_for_reply;       /* the pair whose next reply is cut; -1: none */
};

void cutting_proxy_start(struct cutting_proxy *p, int server_port);
void cutting_proxy_stop(struct cutting_proxy *p);

#endif
