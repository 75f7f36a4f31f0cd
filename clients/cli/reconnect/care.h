/*
 * The care of `fantail map` for items that must not run twice. If a coordinator is lost, its jobs may be sent again
 * only if the items may run twice. The list of tasks (GET /v1/tasks) tells this. It is asked when a run begins, because
 * later the coordinator that knew it may be gone, and again after a loss if there was no answer.
 *
 * After a loss, a run whose items must not run twice sends no job until the list of tasks was answered again. Otherwise
 * each job that is sent while a proxy has no coordinator would be in doubt.
 */
#ifndef FANTAIL_CLI_RECONNECT_CARE_H
#define FANTAIL_CLI_RECONNECT_CARE_H

#include "cli/http/connection.h"
#include "cli/reconnect/outage.h"

enum care_twice { CARE_UNKNOWN, CARE_MAY_RUN_TWICE, CARE_RUNS_ONCE };

enum care_state {
    CARE_IDLE,
    CARE_ASKING,  /* a request runs */
    CARE_WAITING, /* for the next request; only if the gate is closed */
    CARE_STATE_COUNT
};

struct care {
    enum care_twice twice;
    enum care_state state;
    bool gate_closed;   /* no job may be sent until the list of tasks was answered */
    bool limits_jobs;   /* jobs whose items must not run twice are small, so that few items can be in doubt */
    uint64_t closed_ns; /* since when the gate is closed */
    uint64_t slots;     /* how many items the fleet runs at once; 0: not known */
    uint64_t asked_ns;  /* when the first request was sent */
    uint64_t retry_ns;  /* in CARE_WAITING: when the next request is sent */
    unsigned failures;
    const char *task; /* NULL with a command */
    struct connection http;
};

/* `task` has the names of the tasks with commas between them; NULL with a command. If `once`, the options of the run
 * forbid a second run, whatever the tasks are. Without `limits_jobs`, jobs have their usual size. */
void care_init(struct care *c, const struct target *target, const char *task, bool once, bool limits_jobs);
void care_release(struct care *c);
/* Asks for the list of tasks. Does nothing while a request runs. */
void care_ask(struct care *c, uint64_t now);
/* Closes the gate, unless the items may run twice, and asks for the list of tasks. */
void care_note_loss(struct care *c, uint64_t now);
/* Handles the received bytes of the answer, and sends the next request when it is due. */
void care_step(struct care *c, struct outage *o, uint64_t now);

/* Returns whether it is better to begin with a single small job, because the first answer about the tasks is about to
 * come. */
bool care_is_new(const struct care *c, uint64_t now);
/* Returns how many items the next job may have; 0: no limit. `pace` is the items per nanosecond so far. */
uint64_t care_items_max(const struct care *c, double pace, uint64_t now);

#endif
