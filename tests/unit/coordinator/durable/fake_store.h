/*
 * A job store in memory, for tests. The fake store follows the rules of store.h. A test can carry out the calls step by
 * step, or let the loop do it. A test can also make calls fail, lose the replies of calls that took effect, and move
 * the clock.
 *
 * Owner: the test. Free the store with fake_store_free(), or with store_close(), which also frees it.
 */
#ifndef FANTAIL_TEST_FAKE_STORE_H
#define FANTAIL_TEST_FAKE_STORE_H

#include <uv.h>

#include "coordinator/store/store.h"

struct fake_fault {
    enum store_status status;
    unsigned times; /* how many of the next calls end with this status */
    bool lost;      /* these calls take effect although they end with this status */
};

struct fake_job {
    struct stored_job job;
    struct block *blocks;
    size_t block_count;
    int64_t lease_end_ms;
    const char *holder; /* the coordinator that claimed the job last */
};

/* The lists of tasks that a coordinator has announced to the store (store.h). */
struct fake_told {
    const char *holder; /* compared by address; NULL: the entry is free */
    char *serves, *opens;
    int64_t heard_ms;
};

struct fake_store {
    struct store store;
    /* The test may change these members at any time. */
    int64_t now_ms;     /* the clock of the database */
    uint64_t delay_ms;  /* with a loop: time from the start of a call to its end */
    bool away;          /* every call ends as AWAY and changes nothing */
    bool held;          /* with a loop: no call ends until the test calls fake_store_release_calls() */
    bool gives_whole;   /* CLAIM and READ_JOB return all blocks of a small job */
    bool whole_fails;   /* a CLAIM that wants all blocks of a small job ends as AWAY, as if a block cannot be read */
    size_t page_blocks; /* blocks that one READ_RANGES returns; 0: STORE_RANGES_BLOCKS */
    struct fake_fault faults[STORE_OP_COUNT];

    /* The test may read these members. */
    unsigned calls[STORE_OP_COUNT]; /* calls that were carried out */
    struct fake_job **jobs;         /* oldest first */
    size_t job_count;
    unsigned holds;            /* how often store_hold() was called */
    unsigned unheld_writes;    /* ADD_JOB, ADD_BLOCK and ACCEPT calls that were started outside of store_hold() */
    uint64_t block_bytes_read; /* bytes of the lines that READ_BLOCK returned */

    /* Private. */
    uv_loop_t *loop;
    uv_timer_t timer;
    struct list waiting;
    bool is_holding;
    uint64_t last_block;
    struct fake_told told[8];
    void (*closed)(void *data);
    void *closed_data;
};

/* If `loop` is NULL, calls end only in fake_store_step() and fake_store_run(). */
struct fake_store *fake_store_new(uv_loop_t *loop);
/* Frees a store that has no loop. No call may be waiting. To free a store that has a loop, use store_close(). */
void fake_store_free(struct fake_store *s);

/* Carries out the call that was started first. Returns false when no call waits. */
bool fake_store_step(struct fake_store *s);
/* Carries out all calls, including those that are started meanwhile. */
void fake_store_run(struct fake_store *s);
void fake_store_release_calls(struct fake_store *s);
/* Makes the next `times` calls of this kind end with `status`. */
void fake_store_fail(struct fake_store *s, enum store_op op, enum store_status status, unsigned times);
/* Returns a call about this job for store_start(). The call frees itself when it ends. */
struct store_call *fake_store_call(enum store_op op, const char *id);
/* Returns the job with this id, or NULL if there is none. */
struct fake_job *fake_store_find(struct fake_store *s, const char *id);

/* The functions below change the store directly, without a call. A test uses them to prepare the content of the
 * store. */

/* Adds a job in this state, created at s->now_ms. */
struct fake_job *fake_store_add_job(struct fake_store *s, const char *id, enum stored_state state, uint64_t items);
/* Replaces the options that the job was submitted with. */
void fake_store_set_options(struct fake_job *j, const char *options);
/* Adds a block with one range. For each of the n lines, applies the format to the item's index and adds a newline. */
void fake_store_add_lines(struct fake_store *s, struct fake_job *j, enum block_kind kind, uint64_t first, uint64_t n,
                          const char *format);
/* Adds a block of many ranges, and becomes the owner of the block's ranges and lines. Returns the number of the block.
 */
uint64_t fake_store_add_block(struct fake_store *s, struct fake_job *j, struct block *b);

#endif
