/*
 * The shutdown of a service. service.h describes what happens in each state.
 *
 *     RUNNING -> DELAYING -> DRAINING (-> CUTTING) -> CLOSING_IDLE -> CLOSING
 */
#ifndef FANTAIL_COMMON_SERVICE_DRAIN_H
#define FANTAIL_COMMON_SERVICE_DRAIN_H

#include <uv.h>

#include "common/base/base.h"

struct service_config;
struct service_hooks;
struct service_http;

#define DEFAULT_DRAIN_S 30   /* how long DRAINING waits for running work to end; --drain-s */
#define DRAIN_CUT_MS    2000 /* how long CUTTING may take to send the answers that hooks->cut has ended */
#define DRAIN_CLOSE_MS  5000 /* how long CLOSING waits until all handles are closed; then the program ends anyway */

enum drain_state {
    SERVICE_RUNNING,
    SERVICE_DELAYING,
    SERVICE_DRAINING,
    SERVICE_CUTTING,
    SERVICE_CLOSING_IDLE,
    SERVICE_CLOSING,
    DRAIN_STATE_COUNT
};

/* `config`, `hooks` and `http` are borrowed. */
struct drain {
    uv_loop_t *loop;
    const struct service_config *config;
    const struct service_hooks *hooks;
    struct service_http *http;
    enum drain_state state;
    uint64_t end_ms;  /* in DRAINING and CUTTING: the deadline of the state, in milliseconds of uv_now() */
    uv_timer_t timer; /* ends DELAYING, checks in the next states whether they are over, then ends CLOSING */
};

void drain_init(struct drain *d, uv_loop_t *loop, const struct service_config *config,
                const struct service_hooks *hooks, struct service_http *http);
/* Moves from RUNNING to DELAYING. In any other state, this function does nothing. */
void drain_begin(struct drain *d);
/* Call it when hooks->idle may now return true. */
void drain_poke(struct drain *d);
/* Stops the timer that limits CLOSING. Call it when the loop has ended. */
void drain_stop(struct drain *d);
/* Closes the timer. After this call, the loop must run once more. */
void drain_close(struct drain *d);

#endif
