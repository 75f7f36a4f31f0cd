/*
 * The gate of a run of `fantail map -- COMMAND`: a file that the client makes, and that all its host processes map into
 * their memory. It says when the next command may start, how long a command may take, and whether the run is halted. So
 * the rules hold for all processes together, and a decision needs no message. hosts/runs/gate.h locks and maps the
 * file.
 *
 * This file decides and does no I/O. Each function needs the lock of the gate, unless its comment says otherwise.
 */
#ifndef FANTAIL_PROTOCOL_RUN_GATE_H
#define FANTAIL_PROTOCOL_RUN_GATE_H

#include "common/base/base.h"

#define RUN_GATE_VERSION 2
#define RUN_GATE_TIMES   512 /* classes of run times; a class is at most 1/8 longer than the class before it */
#define RUN_GATE_LEAST   3   /* runs that must have succeeded before their median limits the time of others */

/* OPEN -> CLOSED or CUT; CLOSED -> CUT. */
enum run_gate_state {
    RUN_GATE_OPEN,
    RUN_GATE_CLOSED, /* no command starts */
    RUN_GATE_CUT,    /* no command starts, and the running ones are killed */
    RUN_GATE_STATE_COUNT
};

/* What is counted to halt a run. */
enum run_gate_why { RUN_GATE_NEVER, RUN_GATE_FAILED, RUN_GATE_SUCCEEDED, RUN_GATE_DONE, RUN_GATE_WHY_COUNT };
extern const char *const run_gate_why_words[RUN_GATE_WHY_COUNT];

/* These do not change during a run. 0 means that there is no such rule. */
struct run_gate_rules {
    uint64_t spacing_ns;     /* least time between two starts */
    uint64_t timeout_ns;     /* longest time of a command */
    double timeout_factor;   /* the same, as a multiple of the median of the commands that have succeeded */
    double max_load;         /* a command starts only while fewer processes run on the machine or wait for its disks */
    uint64_t min_free_bytes; /* a command starts only while this much memory is free. Below half of it, one is killed */
    enum run_gate_why halt_why;
    bool halt_cuts;       /* a halt kills the running commands */
    double halt_count;    /* a halt after this many */
    double halt_fraction; /* a halt after this fraction of all items. Has effect when `total` is known */
    uint32_t attempts;    /* attempts at an item; only the last one counts as failed */
    uint32_t retried;     /* bits of enum item_error: the errors after which there is another attempt */
    bool limits_running;  /* `running_max` has effect */
};

/* What a host process does now. */
enum run_gate_seat_state {
    RUN_GATE_SEAT_FREE,
    RUN_GATE_SEAT_WAITING,
    RUN_GATE_SEAT_RUNNING,
    RUN_GATE_SEAT_STATE_COUNT
};

struct run_gate_seat {
    enum run_gate_seat_state state;
    uint64_t index;      /* of the item that waits or runs */
    uint64_t started_ns; /* if it runs */
    uint32_t slot;       /* if it runs: from 1 on. No two running commands have the same */
};

struct run_gate {
    uint32_t version;
    uint32_t seats_count;
    struct run_gate_rules rules;
    uint32_t state;       /* enum run_gate_state. May be read without the lock */
    uint32_t turns;       /* changes whenever a waiting command may be allowed to start (a futex): run_gate_turn() */
    uint32_t running_max; /* the client may change it */
    uint64_t total;       /* number of items; 0: not known */
    uint64_t next_start_ns;
    uint64_t next_yield_ns; /* before that time no command is killed because memory is short */
    uint64_t done, failed;
    uint64_t times_count;
    uint32_t times[RUN_GATE_TIMES]; /* how many commands that succeeded took how long */
    struct run_gate_seat seats[];
};

/* Returns the size of a gate with that many seats. */
static inline size_t run_gate_size(unsigned seats)
{
    return sizeof(struct run_gate) + seats * sizeof(struct run_gate_seat);
}

/* Changes `turns`. Without the lock: the client calls it too, and has no lock. */
static inline void run_gate_turn(struct run_gate *g)
{
    __atomic_add_fetch(&g->turns, 1, __ATOMIC_SEQ_CST);
}

/* What the host process knows of the machine. */
struct run_gate_machine {
    double load;
    uint64_t free_bytes;
};

enum run_gate_answer { RUN_GATE_GO, RUN_GATE_WAIT, RUN_GATE_HALTED };

/* Returns whether the rules need run_gate_ask() and run_gate_note_end(). Without the lock. */
bool run_gate_has_rules(const struct run_gate *g);
/* Asks whether the item of this seat, which waits, may start now. If so, the seat is running. After RUN_GATE_WAIT, asks
 * again when `turns` has changed or after *wait_ns. `is_alive(arg, seat)` says whether a seat has a process. */
enum run_gate_answer run_gate_ask(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                                  bool (*is_alive)(void *arg, unsigned seat), void *arg, uint64_t *wait_ns);

/* How a command ended. */
enum run_gate_end {
    RUN_GATE_END_SUCCEEDED,
    RUN_GATE_END_FAILED,
    RUN_GATE_END_AGAIN, /* it is run again, so it is not done */
};
/* Notes the end of the command of this seat, and halts the run if the rules say so. */
void run_gate_note_end(struct run_gate *g, unsigned seat, enum run_gate_end end, uint64_t now);

/* Returns when a command that started at that time must end; 0: never. */
uint64_t run_gate_deadline_ns(const struct run_gate *g, uint64_t started_ns);
/* Returns whether the command of this seat must be killed because memory is short. Then no other command must be killed
 * for a while, because it takes time until the memory of this one is free. */
bool run_gate_must_yield(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                         bool (*is_alive)(void *arg, unsigned seat), void *arg);

/* Halts the run. Call it without the lock only if no host process has begun. */
void run_gate_halt(struct run_gate *g, enum run_gate_state to);

#endif
