/*
 * What a job asks for: the options of the job object, or of the query, checked and with their defaults. A pure
 * module. It does not know which tasks exist, and never sees the items: the splitter takes those out first.
 *
 * Life: jobspec_init(), then jobspec_read_query() for each query argument, jobspec_read_options() with the splitter's
 * options, jobspec_finish(). The first fault ends it: the reader returns false and the error says the rest.
 * Numbers are taken from the text, never through a double, so 2^53 + 1 is refused and `common` goes on byte for byte.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_JOBSPEC_H
#define FANTAIL_COORDINATOR_ITEMS_JOBSPEC_H

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"

#define JOBSPEC_TASK_NAME_SIZE 129 /* with its NUL */

enum job_source { SOURCE_NONE, SOURCE_ITEMS, SOURCE_RANGE, SOURCE_SPANS };
enum job_order { ORDER_INPUT, ORDER_COMPLETION, ORDER_COUNT };
enum job_reduce { REDUCE_NONE, REDUCE_SUM, REDUCE_COUNT, REDUCE_MIN, REDUCE_MAX, REDUCE_CONCAT, REDUCE_KIND_COUNT };
enum retry_jitter { JITTER_NONE, JITTER_FULL, JITTER_COUNT };

struct job_retry {
    int64_t max_attempts; /* 1: never again */
    double interval_s;
    double backoff_rate;
    double max_delay_s;
    enum retry_jitter jitter;
    uint32_t on; /* bit e: an item that failed with enum item_error e is tried again */
};

struct jobspec {
    char *tasks[PIPELINE_TASKS_MAX]; /* one, or the steps of a pipeline */
    size_t task_count;

    enum job_source source;
    /* RANGE: the integers start, start + step ... before stop. SPANS: {"start":a,"stop":b} of `step` each. */
    int64_t start, stop, step;
    uint64_t generated_count; /* how many items RANGE or SPANS make */

    char *common; /* JSON text in one line, NUL-ended; NULL when there is none */
    size_t common_len;

    enum job_order order;
    int64_t chunk_size; /* items; 0: adaptive */
    int64_t max_chunk_bytes;
    int64_t max_concurrency; /* items running at once; 0: as many as there are slots */
    int64_t priority;        /* 0..9, 9 the most urgent */
    double item_timeout_s;   /* 0: none */
    double deadline_s;       /* 0: none */
    struct job_retry retry;
    bool hedge_enabled;
    double hedge_max_extra_percent;
    int64_t tolerated_failure_count; /* -1: no limit */
    double tolerated_failure_percentage;
    enum job_reduce reduce;
    char *reduce_task; /* read to be refused: no task can reduce yet */
    int64_t reduce_fan_in;
    double progress_s; /* query only: a progress line so often; 0: none */

    uint64_t seen; /* private: bit i: field i of the table was given */
};

struct jobspec_error {
    int status;       /* 400; 404 for a name no task can have */
    char pointer[96]; /* "/retry/max_attempts"; "" for the whole */
    char detail[256]; /* one sentence */
};

void jobspec_init(struct jobspec *spec);
/* May be called on a zeroed or released spec. */
void jobspec_release(struct jobspec *spec);

/* One query argument: the same names as in the job object, nested ones with a dot ("retry.max_attempts"), several
 * tasks with commas ("task=fetch,parse"). An unknown name is an error. */
MUST_CHECK bool jobspec_read_query(struct jobspec *spec, const char *name, const char *value,
                                   struct jobspec_error *err);
/* The job object without its items, as JSON text. A field given here and in the query is an error. */
MUST_CHECK bool jobspec_read_options(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err);
/* Everything was read; have_items: the body brought items. Checks that there is a task and exactly one source of
 * items, and sets source and generated_count. */
MUST_CHECK bool jobspec_finish(struct jobspec *spec, bool have_items, struct jobspec_error *err);

/* A job began with `early`; later its options are whole. NULL, or the pointer of the first option that says something
 * else too late. */
const char *jobspec_changed_too_late(const struct jobspec *early, const struct jobspec *late);

/* RANGE and SPANS: appends items first .. first + count - 1, a line each. False when the buffer's cap forbids it. */
MUST_CHECK bool jobspec_write_items(const struct jobspec *spec, uint64_t first, uint64_t count, struct buf *out);

/* Answers are taken in the order of the items. A reduction wants that whatever `order` says. */
bool jobspec_keeps_order(const struct jobspec *spec);

const char *job_reduce_name(enum job_reduce reduce);

#endif
