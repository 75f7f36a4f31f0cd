/*
 * The steps of one turn of an event loop, in a fixed order. Each part of the program adds its step at a named place. No
 * other code starts prepare, check or idle handles. So this list is the complete order of a turn:
 *
 *     timers                            libuv
 *     idle           long answers       the client reads part of each long answer (turn_stay_awake())
 *                    reductions         reduces a part of the answers that arrived together (turn_stay_awake())
 *                    pipelines          a worker passes answers on to the next task of a pipeline
 *                    freed memory       gives part of a large freed block back to the kernel (turn_stay_awake())
 *     before sleep   scheduler          acts on events that occurred after its last run
 *                    client             sends the calls that were started since its last run
 *                    server             runs again if this was requested since its last run
 *                    log                writes the lines of this turn
 *                    worked             measures the turn (turn_time.h, turn_stall.h)
 *                    busy poll          polls for a while instead of sleeping
 *                    sleeps             starts to measure the next turn; the sleep does not count
 *     the sleep, and the callbacks of sockets    libuv
 *     after poll     scheduler          acts on the answers of workers
 *                    client             sends the calls that the scheduler started
 *                    server             passes answers on to clients, reads new requests
 *                    busy poll          notes how long the loop slept
 *                    durable jobs       begins the durable jobs whose claim arrived in this turn, after their clients
 *                                       have got their answers
 *                    scheduler again    acts on the jobs that the server read, and on the durable jobs
 *
 * The order keeps latency low. An answer of a worker is passed on to the client in the turn in which the answer
 * arrived. A request is sent in the turn in which the scheduler decided to send it. If several steps have the same
 * place, the newest runs first.
 *
 * A loop has one struct turn. The turn is created when the first step is added, and closed when the last step is
 * removed. The loop must keep running until the turn's handles are closed. The memory of a step belongs to the caller
 * that adds it. While a step runs, it may add and remove steps, including itself. A turn does not keep its loop alive
 * unless turn_keep_loop() asks for that. This module depends on neither the HTTP server nor the HTTP client, so either
 * of them also works in a loop without the other. Single-threaded.
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
    TURN_AFTER_POLL_DURABLE,
    TURN_AFTER_POLL_SCHEDULER_AGAIN,

    TURN_PLACE_COUNT
};

/* Embedded in its owner. A zeroed step counts as not added. */
struct turn_step {
    struct turn *turn; /* NULL: not added */
    enum turn_place place;
    void (*run)(void *data);
    void *data;
    struct turn_step *next, *prev;
    bool awake, keeps_loop;
};

/* Calls run(data) in every turn. If the step is at an idle place, calls run(data) only while the step is awake. */
void turn_add(uv_loop_t *loop, struct turn_step *step, enum turn_place place, void (*run)(void *data), void *data);
/* Removes the step. turn_remove() and the two functions below do nothing if the step is not added. */
void turn_remove(struct turn_step *step);
/* While any step is awake, the loop does not sleep. */
void turn_stay_awake(struct turn_step *step, bool awake);
/* While any step keeps the loop alive, uv_run() does not return, even if there are no other handles. */
void turn_keep_loop(struct turn_step *step, bool keep);

/* Returns the name of the place of a step that is awake; NULL: no step is awake. */
const char *turn_awake_step(const struct turn *t);

/* Returns the name of the place, such as "after poll: server". */
const char *turn_place_name(enum turn_place place);

#endif
