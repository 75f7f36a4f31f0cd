/*
 * The gate of a run of `fantail map -- COMMAND` is a file. The client makes the file, and all host processes of the run
 * map it into their memory. The gate says when the next command may start, how long a command may take, and whether the
 * run is halted. So the rules apply to all processes together, and a process can make a decision without sending a
 * message. hosts/runs/gate.h locks and maps the file.
 *
 * This module makes the decisions and does no I/O. Call each function with the gate locked, unless the comment of the
 * function says otherwise.
 */
#ifndef FANTAIL_PROTOCOL_RUN_GATE_H
#define FANTAIL_PROTOCOL_RUN_GATE_H

#include "common/base/base.h"

#define RUN_GATE_VERSION 5
#define RUN_GATE_TIMES   512 /* classes of run times; neighbouring classes differ by at most 1/8 */
#define RUN_GATE_LEAST   3   /* commands that must succeed before the median of their times limits the others */

/* OPEN -> CLOSED or CUT; CLOSED -> CUT. */
enum run_gate_state {
    RUN_GATE_OPEN,
    RUN_GATE_CLOSED, /* no command starts */
    RUN_GATE_CUT,    /* no command starts, and the running ones are killed */
    RUN_GATE_STATE_COUNT
};

/* Which commands are counted to decide whether the run is halted. */
enum run_gate_why { RUN_GATE_NEVER, RUN_GATE_FAILED, RUN_GATE_SUCCEEDED, RUN_GATE_DONE, RUN_GATE_WHY_COUNT };
extern const char *const run_gate_why_words[RUN_GATE_WHY_COUNT];

/* The rules of a run. The rules do not change during the run. 0: there is no such rule. */
struct run_gate_rules {
    uint64_t spacing_ns;   /* least time between the starts of two commands */
    uint64_t timeout_ns;   /* time limit of a command */
    double timeout_factor; /* time limit as a multiple of the median time of the commands that have succeeded */
    double max_load;       /* a command starts only while fewer threads than this run or wait for a processor */
    /* A command starts only while this much memory is free. If less than half of this is free, a command is killed. */
    uint64_t min_free_bytes;
    enum run_gate_why halt_why;
    bool halt_cuts;       /* a halt kills the running commands */
    double halt_count;    /* the run halts after this many commands of the kind `halt_why` */
    double halt_fraction; /* the run halts after this fraction of all items, if `total` is known */
    uint32_t attempts;    /* attempts at an item; a failure counts only if no further attempt follows */
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
    uint64_t index;      /* index of the item that waits or runs */
    uint64_t started_ns; /* if the item runs: when its command started */
    uint32_t slot;       /* if the item runs: its slot, from 1 on; no two running commands have the same slot */
};

/* What a host process knows about the machine. */
struct run_gate_machine {
    double load;
    uint64_t free_bytes;
};

/* What holds back the next command. */
enum run_gate_hold { RUN_GATE_HOLD_NONE, RUN_GATE_HOLD_LOAD, RUN_GATE_HOLD_MEMORY };

struct run_gate {
    uint32_t version;
    uint32_t seats_count;
    struct run_gate_rules rules;
    uint32_t state;       /* enum run_gate_state. May be read without the lock */
    uint32_t turns;       /* a futex; run_gate_turn() changes it when a waiting command may be allowed to start */
    uint32_t running_max; /* the client may change it */
    uint64_t total;       /* number of items; 0: not known */
    uint32_t hold;        /* enum run_gate_hold. This and the next two members may be read without the lock */
    uint64_t held_since_ns;
    struct run_gate_machine held_at; /* the values with which `hold` was last decided */
    uint64_t first_ns;               /* with limits_running: when the first item came; 0: none has come */
    uint64_t next_start_ns;
    uint64_t next_yield_ns; /* before this time, no command is killed because memory is short */
    uint64_t begun;         /* items that a process has taken, each counted once; counted without the lock */
    uint64_t done, failed;
    uint64_t times_count;
    uint32_t times[RUN_GATE_TIMES]; /* for each class of run times: number of commands that have succeeded */
    struct run_gate_seat seats[];
};

/* Returns the size of a gate with this many seats. */
static inline size_t run_gate_size(unsigned seats)
{
    return sizeof(struct run_gate) + seats * sizeof(struct run_gate_seat);
}

/* Changes `turns`. This function works without the lock, so the client, which has no lock, can call it too. */
static inline void run_gate_turn(struct run_gate *g)
{
    __atomic_add_fetch(&g->turns, 1, __ATOMIC_SEQ_CST);
}

enum run_gate_answer { RUN_GATE_GO, RUN_GATE_WAIT, RUN_GATE_HALTED };

/* Returns whether the rules require calls to run_gate_ask() and run_gate_note_end(). This function needs no lock. */
bool run_gate_has_rules(const struct run_gate *g);
/* Asks whether the item of this seat may start now. If the item may start, marks the seat as running. After
 * RUN_GATE_WAIT, ask again when `turns` has changed or *wait_ns has passed. `is_alive(arg, seat)` returns whether a
 * seat has a process. */
enum run_gate_answer run_gate_ask(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                                  bool (*is_alive)(void *arg, unsigned seat), void *arg, uint64_t *wait_ns);

/* How a command ended. */
enum run_gate_end {
    RUN_GATE_END_SUCCEEDED,
    RUN_GATE_END_FAILED,
    RUN_GATE_END_AGAIN, /* the command is run again, so its item is not done */
};
/* Records how the command of this seat ended, and halts the run if the rules demand this. */
void run_gate_note_end(struct run_gate *g, unsigned seat, enum run_gate_end end, uint64_t now);

/* Returns when a command that started at started_ns must end; 0: never. */
uint64_t run_gate_deadline_ns(const struct run_gate *g, uint64_t started_ns);
/* Returns whether the command of this seat must be killed because memory is short. After this function has returned
 * true, it returns false for a while, because the memory of the killed command needs time to become free. */
bool run_gate_must_yield(struct run_gate *g, unsigned seat, uint64_t now, const struct run_gate_machine *m,
                         bool (*is_alive)(void *arg, unsigned seat), void *arg);

/* Halts the run. This function may be called without the lock only while no host process has begun. */
void run_gate_halt(struct run_gate *g, enum run_gate_state to);

#endif
