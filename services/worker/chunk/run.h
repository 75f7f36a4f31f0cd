/*
 * A run consists of consecutive items of one chunk that are given to one process together. chunk_take() makes runs, and
 * chunk.h has a diagram of their states. While a process has the run, the run holds a reference to its chunk.
 *
 * The items of a run are answered in order. The answers of a chunk's first run go straight to the chunk's output; any
 * other run holds its answers until it is the first run. A process that answers in any order gets runs of one item
 * each. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_RUN_H
#define FANTAIL_WORKER_CHUNK_RUN_H

#include "common/base/base.h"
#include "common/base/hash.h"
#include "worker/chunk/line_queue.h"

struct chunk;

enum run_state { RUN_WAITING, RUN_GIVEN };

struct run {
    struct chunk *chunk;
    struct run *next, *prev;             /* the neighbours in the chunk */
    struct run *next_given, *prev_given; /* the neighbours in the window of its process */
    enum run_state state;
    uint64_t first, count; /* index of the first item in the chunk; number of items */
    uint64_t answered;     /* how many of `count` were answered since the run was given to its process */
    uint64_t since_ns;     /* when its process began the first unanswered item */
    size_t offset, len;    /* bytes of its items, including newlines */
    uint64_t
        /* If not 0: each of the items is a suspect, because a process was lost and it is not known which item was at
         * fault. So a process gets at most bisect_limit suspects at the same time, and no other items. */
        bisect_limit;
    /* The next three members are for processes that answer in any order. */
    struct hash_link by_id;    /* its hash is the id of the item in its process */
    uint64_t cancelled_ns;     /* when the process was told to cancel the item; 0: never */
    char *verdict;             /* the answer line of the item, whatever the process answers; NULL: none */
    struct line_queue answers; /* held until the run is the chunk's first */
};

/* Adds n answers, as whole lines. After the last answer of the run, takes the run from its process and returns true.
 * The run and the chunk may then have been freed. */
bool run_answer(struct run *r, const char *lines, size_t len, uint64_t n);
/* Like run_answer(), for lines in a queue. The lines are moved, and `lines` becomes empty. */
bool run_take_answers(struct run *r, struct line_queue *lines, uint64_t n);

/* Takes back a run whose process was lost, or that could not be given to a process. `line`, if not NULL, is the answer
 * of the first unanswered item. The other unanswered items become waiting again. */
void run_return(struct run *r, const char *line, size_t len);
/* Like run_return(), but `line` is the answer of item number `at`, counted from the first unanswered item. The items
 * before this item also become waiting again. */
void run_return_at(struct run *r, uint64_t at, const char *line, size_t len);

#endif
