/*
 * The options of a job, from the job object and from the query. This module checks the options, and sets the defaults
 * of the options that are not given. The module does not check whether the tasks exist, and does not see the items,
 * because the splitter removes the items first. Pure.
 *
 * Order of calls: jobspec_init(), then jobspec_read_query() for each query parameter, then jobspec_read_options() with
 * the splitter's options, then jobspec_finish(). At the first fault a function returns false, and the error says what
 * is wrong. Whole numbers beyond 2^53 - 1 are refused. `common` keeps the bytes that the client sent, except line
 * breaks.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_JOBSPEC_H
#define FANTAIL_COORDINATOR_ITEMS_JOBSPEC_H

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"

enum job_source { SOURCE_NONE, SOURCE_ITEMS, SOURCE_RANGE, SOURCE_SPANS };
enum job_order { ORDER_INPUT, ORDER_COMPLETION, ORDER_COUNT };
/* How consecutive items with the same error are written: one line for each item, or one line with the number of
 * items. */
enum job_errors { ERRORS_EACH, ERRORS_RUNS, ERRORS_COUNT };
enum job_first_line { FIRST_LINE_ITEM, FIRST_LINE_OPTIONS, FIRST_LINE_COUNT };
enum retry_jitter { JITTER_NONE, JITTER_FULL, JITTER_COUNT };

#define JOB_LABELS_MAX  16 /* labels of one job */
#define JOB_LABEL_BYTES 64 /* maximum size of one label */
#define JOB_URL_BYTES   2048

/* Returns whether the text can be a label of a job: 1 to JOB_LABEL_BYTES bytes without control characters or commas. A
 * comma separates labels in the query. */
bool job_label_is_valid(const char *text, size_t len);

struct job_retry {
    int64_t max_attempts; /* attempts per item; 1: an item is not tried again */
    double interval_s;
    double backoff_rate;
    double max_delay_s;
    enum retry_jitter jitter;
    uint32_t on; /* bit e: an item that fails with enum item_error e is tried again */
};

struct jobspec {
    char *tasks[PIPELINE_TASKS_MAX]; /* one task, or the steps of a pipeline */
    size_t task_count;

    enum job_source source;
    /* RANGE: the integers start, start + step and so on, up to stop, which is excluded. SPANS: {"start":a,"stop":b},
     * where b - a is `step`, or less in the last span. */
    int64_t start, stop, step;
    uint64_t generated_count; /* RANGE, SPANS: how many items */

    char *common; /* a JSON text on one line, NUL-terminated; NULL: none */
    size_t common_len;

    enum job_order order;
    enum job_errors errors;
    int64_t chunk_size; /* items; 0: adaptive */
    int64_t max_chunk_bytes;
    int64_t max_concurrency; /* the most items that run at the same time; 0: limited only by the slots */
    double max_rate;         /* the most items that are sent to workers per second; 0: no limit */
    int64_t priority;        /* 0 .. 9; 9 is the most urgent; 0 counts as 1 */
    double item_timeout_s;   /* 0: none */
    double deadline_s;       /* 0: none */
    struct job_retry retry;
    bool hedge_enabled;
    double hedge_max_extra_percent;
    int64_t tolerated_failure_count; /* -1: no limit */
    double tolerated_failure_percentage;
    enum job_reduce reduce;
    char *reduce_task; /* a job that sets it is refused, because tasks cannot reduce yet */
    int64_t reduce_fan_in;
    char *labels;                   /* a JSON array of strings on one line; NULL: none */
    char *notify_url;               /* gets the notice of the end of a durable job; NULL: none */
    enum job_first_line first_line; /* only in the query: what the first line of a body of lines is */
    double progress_s;              /* only in the query: seconds from one progress line to the next; 0: none */

    /* The value of `common` in the text that jobspec_read_options() has read. Borrowed from this text. NULL: the text
     * has no `common`. */
    const char *common_source;
    size_t common_source_len;

    uint64_t seen; /* private: bit i is set when field i of the table was given */
};

/* The highest level of options that this version can run. Some new options of durable jobs must not be ignored by older
 * versions. For such an option, raise this level by one, and set the option's `needs` in jobspec_fields.c to the new
 * level. */
#define JOBSPEC_LEVEL 2u

struct jobspec_error {
    int status;       /* 400, or 404 for a name that no task can have */
    char pointer[96]; /* a JSON pointer such as "/retry/max_attempts"; "": the whole job object */
    char detail[256]; /* one sentence, without its full stop */
};

void jobspec_init(struct jobspec *spec);
/* Returns the level that a coordinator needs to run a job with these options. */
unsigned jobspec_needs(const struct jobspec *spec);
/* Releasing a zeroed or released spec is fine. */
void jobspec_release(struct jobspec *spec);

/* Reads one query parameter. Query parameters have the same names as the members of the job object. A nested name has a
 * dot ("retry.max_attempts"). Several tasks are separated by commas ("task=fetch,parse"). An unknown name is an error.
 * The name and the value must be text: valid UTF-8 without NUL bytes. */
MUST_CHECK bool jobspec_read_query(struct jobspec *spec, const char *name, const char *value,
                                   struct jobspec_error *err);
/* Reads the job object without its items. The text must be valid JSON. The options from the splitter are valid and may
 * have 4 MiB, so this function does not check them again. A field that is in both the job object and the query is an
 * error. */
MUST_CHECK bool jobspec_read_options(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err);
/* Sets `common` to the text `json`, which must be valid JSON. */
void jobspec_set_common(struct jobspec *spec, const char *json, size_t len);
/* Call it when the query and all options have been read. `have_items` says whether the body has items. Checks that
 * there is a task and exactly one source of items, and sets source and generated_count. */
MUST_CHECK bool jobspec_finish(struct jobspec *spec, bool have_items, struct jobspec_error *err);

/* Reads a merge patch (RFC 7396) of the options that may change while a job runs: max_concurrency, priority, the
 * tolerances, deadline_s and max_rate. null sets the default. Other fields are errors. `json` ends with a NUL. `spec`
 * must be initialised. */
MUST_CHECK bool jobspec_read_changes(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err);
/* Appends a JSON object with the changeable options that were read since spec->seen was 0. jobspec_read_changes() can
 * read the object. The object contains no null. */
void jobspec_write_changes(const struct jobspec *spec, struct buf *out);
/* Appends a JSON object with all options that may change. The object is for people: an option without a limit is
 * null. */
void jobspec_write_changeable(const struct jobspec *spec, struct buf *out);

/* A job was started with the options `early`; `late` also has the options that arrived later. Returns the JSON pointer
 * of the first option that differs in `late` but can no longer be changed. Returns NULL when there is no such
 * option. */
const char *jobspec_changed_too_late(const struct jobspec *early, const struct jobspec *late);

/* For RANGE and SPANS: appends the items first .. first + count - 1 as one line each. Returns false when the lines
 * exceed the buffer's cap. */
MUST_CHECK bool jobspec_write_items(const struct jobspec *spec, uint64_t first, uint64_t count, struct buf *out);

/* Returns whether answers are read in input order. A reduction needs input order, whatever `order` is. */
bool jobspec_keeps_order(const struct jobspec *spec);

const char *job_reduce_name(enum job_reduce reduce);

#endif
