/*
 * The definitions that coordinator and worker share: paths, header names, media types, error names, and the form of a
 * chunk's answer lines. See docs/protocol.md.
 */
#ifndef FANTAIL_PROTOCOL_PROTOCOL_H
#define FANTAIL_PROTOCOL_PROTOCOL_H

#include "common/base/base.h"

#define PATH_JOBS    "/v1/jobs"
#define PATH_TASKS   "/v1/tasks"
#define PATH_WORKERS "/v1/workers"

#define HEADER_JOB         "Fantail-Job"         /* the id of the job, in every answer to an accepted job */
#define HEADER_CHUNK       "Fantail-Chunk"       /* "<job>/<first index>" */
#define CHUNK_NONE         "none"                /* as the value of HEADER_CHUNK: the answer belongs to no request */
#define HEADER_DEADLINE_MS "Fantail-Deadline-Ms" /* milliseconds until the deadline */
#define HEADER_ATTEMPT     "Fantail-Attempt"
#define HEADER_WORKER      "Fantail-Worker" /* the worker's id, which does not change while the worker runs */
#define HEADER_SLOTS       "Fantail-Slots"
#define HEADER_FREE        "Fantail-Free"
#define HEADER_COST                                                                                                    \
    "Fantail-Cost" /* in a request: "lines" asks for lines with the cost of the items (struct chunk_cost) */
#define HEADER_STARTING "Fantail-Starting" /* in a request: "lines" asks for lines of kind ANSWER_STARTING */

#define TYPE_JSON        "application/json"
#define TYPE_MERGE_PATCH "application/merge-patch+json"
#define TYPE_NDJSON      "application/x-ndjson"
#define TYPE_TEXT        "text/plain"
#define TYPE_PROBLEM     "application/problem+json"
#define TYPE_CHUNK       "application/vnd.fantail.chunk+x-ndjson"

#define PIPELINE_TASKS_MAX 16  /* the largest number of tasks in one job */
#define TASK_NAME_SIZE     129 /* size of a task's name with its NUL */
#define TASK_NAME_RULE     "a task's name has up to 128 letters (A to Z, a to z), digits, '.', '_' and '-'"

/* Returns whether this is a valid task name by TASK_NAME_RULE. A valid name must also not begin with '.', because it
 * becomes a part of paths. */
bool is_task_name(const char *name, size_t len);

/* The reasons why an item has no value. item_error_name() returns the names that the protocol uses. */
enum item_error {
    ITEM_TASK_ERROR, /* the task reported the error */
    ITEM_CRASHED,
    ITEM_TIMED_OUT,
    ITEM_OUT_OF_MEMORY,
    ITEM_BAD_OUTPUT,
    ITEM_WORKER_LOST,
    ITEM_START_TIMED_OUT, /* no process of the task became ready in time */
    ITEM_CANCELLED,       /* only the coordinator reports this error and the next one */
    ITEM_DEADLINE_EXCEEDED,
    ITEM_ERROR_COUNT
};

const char *item_error_name(enum item_error e);

/* Whether an item of a task may run more than once: the value of "idempotent" in its task.json. */
enum idempotency {
    IDEMPOTENCY_UNSAID, /* an item is sent again after its attempt is lost, but never hedged */
    IDEMPOTENCY_NO,     /* an item that may have reached a worker is never sent again */
    IDEMPOTENCY_YES,    /* an item is sent again after its attempt is lost, and may be hedged */
    IDEMPOTENCY_COUNT
};

/* Returns the stricter of two values. The values come from two tasks, or from two answers about one task. */
enum idempotency idempotency_of_both(enum idempotency a, enum idempotency b);
/* Returns the value in JSON: "null", "false" or "true". */
const char *idempotency_json(enum idempotency i);

/* How the values of a job become one value. reduce_words holds the words of "reduce" in a job, and NULL for
 * REDUCE_NONE. */
enum job_reduce { REDUCE_NONE, REDUCE_SUM, REDUCE_COUNT, REDUCE_MIN, REDUCE_MAX, REDUCE_CONCAT, REDUCE_KIND_COUNT };
extern const char *const reduce_words[REDUCE_KIND_COUNT];

/* How a chunk's answer ended. */
enum chunk_end { CHUNK_COMPLETE, CHUNK_DRAINING, CHUNK_DEADLINE, CHUNK_END_COUNT };

enum answer_kind { ANSWER_VALUE, ANSWER_ERROR, ANSWER_END, ANSWER_COST, ANSWER_STARTING, ANSWER_BAD };

/* The cost of a chunk's items so far. The slot time of an item is the time for which it occupied a process. */
struct chunk_cost {
    uint64_t items;    /* number of items that were measured */
    uint64_t slot_ns;  /* total slot time of these items */
    uint64_t chunk_ns; /* processor time of the worker's event loop for one chunk; 0: unknown */
};

/*
 * One line of a chunk's answer, or of the output of a process. The line has one of these forms:
 *     {"value":V}
 *     {"error":{...}}
 *     {"end":"complete","done":N,"cost":{...}}
 *     {"cost":{"items":N,"slot_s":S,"chunk_s":S}}
 *     {"starting":N}
 */
struct answer_line {
    enum answer_kind kind;
    const char *body; /* for ANSWER_VALUE: V; for ANSWER_ERROR: the error object; borrowed from the line */
    size_t body_len;
    enum item_error error; /* for ANSWER_ERROR: found by its "name"; ITEM_TASK_ERROR for all other names */
    enum chunk_end end;
    uint64_t done;
    uint64_t starting;      /* for ANSWER_STARTING: number of starting processes of the task */
    struct chunk_cost cost; /* for ANSWER_COST, and for ANSWER_END with a cost; otherwise items is 0 */
};

/* Reads one line (without its newline). If `strict` is true, also validates the JSON of V. If `strict` is false, checks
 * only the frame. This is enough for bytes that have been validated before. Parsing a line with a value allocates no
 * memory. Parsing a line with an error may take longer and may allocate memory. */
struct answer_line answer_line_parse(const char *line, size_t len, bool strict);

#endif
