/*
 * How `fantail map` handles items that must not run twice. The jobs of a lost coordinator may be sent again only if
 * their items may run twice. The list of tasks (GET /v1/tasks) tells whether the items of a task may run twice. A run
 * asks for the list when it begins, because the coordinator that knows the tasks may be gone later. If this request
 * gets no answer, the run asks again after a loss.
 *
 * If items must not run twice, the run sends no job after a loss until it gets the list of tasks again. Without this
 * rule, each job that is sent while a proxy has no coordinator would be in doubt.
 */
#ifndef FANTAIL_CLI_RECONNECT_CARE_H
#define FANTAIL_CLI_RECONNECT_CARE_H

#include "cli/http/connection.h"
#include "cli/reconnect/outage.h"

enum care_twice { CARE_UNKNOWN, CARE_MAY_RUN_TWICE, CARE_RUNS_ONCE };

enum care_state {
    CARE_IDLE,
    CARE_ASKING,  /* a request runs */
    CARE_WAITING, /* waits for the time of the next request; only if the gate is closed */
    CARE_STATE_COUNT
};

struct care {
    enum care_twice twice;
    enum care_state state;
    bool gate_closed;   /* no job may be sent until the list of tasks comes */
    bool lacks_task;    /* the fleet has tasks, but not this one */
    bool limits_jobs;   /* jobs are small if their items must not run twice, so that few items can be in doubt */
    uint64_t closed_ns; /* when the gate was closed */
    uint64_t slots;     /* how many items the fleet runs at once; 0: not known */
    uint64_t asked_ns;  /* when the first request was sent */
    uint64_t retry_ns;  /* in CARE_WAITING: when the next request is sent */
    unsigned failures;
    const char *task; /* NULL with a command */
    struct connection http;
};

/* `task` has the names of the tasks with commas between them; NULL with a command. `once`: the options forbid running
 * an item twice, even if the item's task allows this. If `limits_jobs` is false, jobs have their usual size. */
void care_init(struct care *c, const struct target *target, const char *task, bool once, bool limits_jobs);
void care_release(struct care *c);
/* Asks for the list of tasks. Does nothing while a request runs. */
void care_ask(struct care *c, uint64_t now);
/* Does nothing if the items may run twice. Otherwise forbids further jobs until the list of tasks arrives, and asks for
 * the list. */
void care_note_loss(struct care *c, uint64_t now);
/* Handles the received bytes of the answer, and sends the next request when it is due. */
void care_step(struct care *c, struct outage *o, uint64_t now);

/* Returns whether the first list of tasks is still expected soon, in a run that limits its jobs. As long as this is
 * true, the run should have only a single small job. */
bool care_is_new(const struct care *c, uint64_t now);
/* Returns how many items the next job may have; 0: no limit. `pace` is the number of items per nanosecond so far. */
uint64_t care_items_max(const struct care *c, double pace, uint64_t now);

#endif
