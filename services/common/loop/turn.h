/*
 * The steps of one turn of an event loop, in a fixed order. A part of the program adds a step at a named place. Nothing
 * else starts prepare, check or idle handles. So this list is the whole order of a turn:
 *
 *     timers                            libuv
 *     idle           long answers       the client reads part of each long answer (turn_stay_awake())
 *                    reductions         folds part of the answers that arrived together (turn_stay_awake())
 *                    pipelines          a worker passes answers on to the next task of a pipeline
 *                    freed memory       gives part of a large freed block back to the kernel (turn_stay_awake())
 *     before sleep   scheduler          acts on events that came after its last run
 *                    client             sends the calls that were started since
 *                    server             runs again if a run was requested since
 *                    log                writes the lines of this turn
 *                    worked             measures the turn (turn_time.h)
 *                    busy poll          polls for a while instead of sleeping
 *                    sleeps             the next turn is measured from here, without the sleep
 *     the sleep, and the callbacks of sockets    libuv
 *     after poll     scheduler          acts on the answers of workers
 *                    client             sends the calls that the scheduler started
 *                    server             passes answers on to clients, reads new requests
 *                    busy poll          notes how long the loop slept
 *                    scheduler again    acts on the jobs that the server read
 *
 * The order keeps latency low. An answer of a worker is passed on to its client in the turn in which it came. A request
 * is sent in the turn in which the scheduler decided to send it. Of several steps at one place, the newest runs first.
 *
 * A loop has one struct turn. It is made when the first step is added, and closed when the last step is removed. The
 * loop must keep running until the handles are closed. A step belongs to the caller that adds it. While a step runs, it
 * may add and remove steps, itself included. A turn does not keep its loop alive unless turn_keep_loop() asks for that.
 * It does not depend on the HTTP server and client, so each of them also works alone in any loop. Single-threaded.
 */
#ifndef FANTAIL_COMMON_LOOP_TURN_H
#define FANTAIL_COMMON_LOOP_TURN_H

#include <uv.h>

#include "common/base/base.h"

struct turn;

enum turn_place {
    TURN_IDLE_LONG_ANSWERS,
    TURN_IDLE_REDUCTIONS,
    TURN_IDLE_PIPELINES,
    TURN_IDLE_FREED_MEMORY,

    TURN_BEFORE_SLEEP_SCHEDULER,
    TURN_BEFORE_SLEEP_CLIENT,
    TURN_BEFORE_SLEEP_SERVER,
    TURN_BEFORE_SLEEP_LOG,
    TURN_BEFORE_SLEEP_WORKED,
    TURN_BEFORE_SLEEP_BUSY_POLL,
    TURN_BEFORE_SLEEP_SLEEPS,

    TURN_AFTER_POLL_SCHEDULER,
    TURN_AFTER_POLL_CLIENT,
    TURN_AFTER_POLL_SERVER,
    TURN_AFTER_POLL_BUSY_POLL,
    TURN_AFTER_POLL_SCHEDULER_AGAIN,

    TURN_PLACE_COUNT
};

/* Embedded in its owner. A zeroed step is not added. */
struct turn_step {
    struct turn *turn; /* NULL: not added */
    enum turn_place place;
    void (*run)(void *data);
    void *data;
    struct turn_step *next, *prev;
    bool awake, keeps_loop;
};

/* run(data) is called in every turn, or, at an idle place, while the step is awake. */
void turn_add(uv_loop_t *loop, struct turn_step *step, enum turn_place place, void (*run)(void *data), void *data);
/* Removes the step. This call and the two below do nothing if the step is not added. */
void turn_remove(struct turn_step *step);
/* While any step is awake, the loop does not sleep. */
void turn_stay_awake(struct turn_step *step, bool awake);
/* While any step keeps the loop alive, uv_run() does not return, even without other handles. */
void turn_keep_loop(struct turn_step *step, bool keep);

/* Returns the name of the place, such as "after poll: server". */
const char *turn_place_name(enum turn_place place);

#endif
