/*
 * One run of `fantail map`. Standard input is cut into batches (input.h). Each batch is one job on the coordinator, so
 * even endless input needs only a limited amount of memory. Several jobs run at once. run->running lists the jobs in
 * the order of their items. With `--order input`, only the answers of the oldest job are printed. The answers of the
 * other jobs wait in their connections, which stop reading after MAP_HELD_BYTES. The service continues these jobs and
 * keeps their answers.
 *
 * The prefix rule: with `--order input`, the answers received so far are always the answers to the first items of the
 * job. If the job's connection is cut, the items without an answer are sent again as a new job. With `--order
 * completion`, unanswered.h keeps track of these items. If a bad item is refused, the items before it are sent again as
 * one job. Then the bad item fails, and the items after it are sent as another job.
 *
 * A proxy may limit the size of a request. After an answer with status 413, the batch is sent in smaller pieces, one
 * after another, and later batches are smaller (input.h). An item fails if it is too large even as the only item of a
 * request.
 *
 * Items of a lost job may have run. If they must not run twice (care.h), the run fails them and does not send them
 * again.
 *
 *     map.c          the loop: polls, reads, starts, prints, ends
 *     map_job.c      one job: request, refusal
 *     map_cut.c      handles a job that did not get its whole answer
 *     map_drain.c    handles the last lines of a job whose coordinator drains
 *     map_answers.c  prints the lines of a job's answer and reports failures; the hot path
 *     map_record.c   the records of commands: what is printed, and the log
 *     map_reduce.c   --reduce: all of the input in one job
 *     map_begin.c    the beginning of a run
 *     map_hold.c     says why no command starts
 *     map_end.c      the last messages, and the exit status
 */
#ifndef FANTAIL_CLI_MAP_MAP_INTERNAL_H
#define FANTAIL_CLI_MAP_MAP_INTERNAL_H

#include "cli/fleet/private_fleet.h"
#include "cli/http/connection.h"
#include "cli/reconnect/care.h"
#include "cli/map/failures.h"
#include "cli/items/input.h"
#include "cli/options/map_options.h"
#include "cli/map/map_reduce.h"
#include "cli/reconnect/outage.h"
#include "cli/map/output.h"
#include "cli/report/progress.h"
#include "cli/map/result_line.h"
#include "cli/items/unanswered.h"
#include "cli/runs/joblog.h"

#define MAP_JOBS         64 /* maximum number of running jobs while a private fleet has idle slots */
#define MAP_JOBS_USUAL   16 /* maximum number otherwise */
#define MAP_JOBS_SLOW    2  /* maximum number while the running jobs have work for MAP_WORK_S seconds */
#define MAP_JOBS_CAREFUL 2  /* maximum number if items must not run twice */
#define MAP_WORK_S       5
#define MAP_LEAD_MS      50          /* for commands of a private fleet, in place of MAP_WORK_S */
#define MAP_JOB_BYTES    (8u << 20)  /* maximum input bytes in all running jobs; a single larger batch is allowed */
#define MAP_TAIL_BYTES   (16u << 20) /* maximum size of a held tail, see enum map_tail */
#define MAP_HELD_BYTES   (4u << 20)  /* maximum answer bytes that are held for a job that is not the oldest */

/*
 * A job. Only map_job_move() changes the state of a job:
 *
 *   FREE, BACKOFF, AT_BAD  -- map_job_start() ----------------> RUNNING, or AT_BAD if the next item is bad
 *   RUNNING                -- the service is full or lost ----> BACKOFF
 *   RUNNING                -- lost, the items may have run ---> IN_DOUBT
 *   IN_DOUBT               -- the items may run twice --------> BACKOFF
 *   IN_DOUBT               -- they may not, so they fail -----> ENDED, or AT_BAD if the attempt ended before a bad item
 *   RUNNING                -- a bad item was refused ---------> RUNNING with the items before it, or AT_BAD
 *   RUNNING                -- the body was too large --------> RUNNING with fewer items, or AT_BAD if it had one item
 *   RUNNING                -- the attempt is answered --------> ENDED, or AT_BAD if the attempt ended before a bad item
 *   RUNNING                -- a piece is answered -----------> RUNNING with the next items of the batch
 *   AT_BAD                 -- the bad item was the last ------> ENDED
 *   ENDED                  -- its answers are printed --------> FREE
 */
enum map_job_state {
    MAP_JOB_FREE,
    MAP_JOB_RUNNING,
    MAP_JOB_BACKOFF,
    MAP_JOB_IN_DOUBT, /* lost; it is not known whether its items may run twice */
    MAP_JOB_AT_BAD,   /* every item before `bad` is answered */
    MAP_JOB_ENDED,
    MAP_JOB_STATE_COUNT
};

/* The tail of an answer: its lines from the first cancelled item on. Only the end line tells whether the coordinator
 * drains. So the tail is not printed before the end line has arrived. */
enum map_tail {
    MAP_TAIL_NONE,
    MAP_TAIL_HELD,
    MAP_TAIL_DRAINED, /* held, and the coordinator drains */
    MAP_TAIL_PRINTED  /* the coordinator does not drain, or the tail is longer than MAP_TAIL_BYTES */
};

/* Where an attempt ends: the place of the first item after the attempt. */
struct map_end {
    uint64_t index; /* after the last item of the batch: job.count */
    size_t offset;
};

struct map_job {
    enum map_job_state state;
    struct connection http;
    struct batch batch;
    uint64_t answered; /* items of the batch that have an answer */
    uint64_t base;     /* the first item of the running attempt */
    uint64_t first;    /* in completion order: the number of items in all jobs before this one */
    size_t scanned;    /* bytes of the answer that are known to have no newline */
    bool end_seen;     /* the end line of the running attempt has come */
    enum map_tail tail;
    bool checks_items;   /* search for bad items before sending; set after a refusal, or if items must not run twice */
    struct map_end end;  /* where the running attempt ends; not used with --reduce */
    bool ends_at_bad;    /* the running attempt has only the items before `bad` */
    struct bad_item bad; /* set if ends_at_bad, and in MAP_JOB_AT_BAD */
    struct outage_tries tries;
    uint64_t retry_ns;            /* in MAP_JOB_BACKOFF: when the backoff is over */
    uint64_t count;               /* items of the batch; used only in completion order */
    struct unanswered unanswered; /* used only in completion order */
    uint64_t seek_index;          /* the last position of batch_seek() */
    size_t seek_offset;
};

/* A run. Only map_run_move() changes the state of a run. The state only moves forward, and may skip states. */
enum map_run_state {
    MAP_STARTING, /* the private fleet is not ready */
    MAP_READY,    /* the coordinator's address is known */
    MAP_ASKED,    /* a job was begun */
    MAP_ANSWERED, /* a coordinator has accepted a job */
    MAP_STOPPED,  /* the run has failed; `status` is the exit status */
    MAP_RUN_STATE_COUNT
};

struct map_run {
    enum map_run_state state;
    int status; /* set in MAP_STOPPED */
    const struct map_options *options;
    struct private_fleet private_fleet;
    struct target target;

    struct input input;
    struct output output;
    struct failures failures;
    struct map_reduce reduction; /* used only with --reduce */
    struct progress progress;
    struct outage outage;
    struct care care;
    const char *note; /* for the progress line: what the run waits for; NULL: nothing */
    char starting_note[48];
    char hold_note[96];           /* what holds back the next command; empty: nothing */
    enum run_gate_hold hold_said; /* the reason that the last message about this gave */
    uint64_t hold_look_ns;        /* when map_hold_look() must be called next */
    bool waiting_is_said;         /* the message "waiting for a worker" was written */
    bool quiet_is_said;           /* the message that nothing has come from the URL was written */
    bool loading_is_said;         /* the message "task ... takes a while to load" was written */
    uint64_t loading_since_ns;    /* since when the run has waited because a task loads; 0: it does not */

    struct map_job jobs[MAP_JOBS];
    struct map_job *running[MAP_JOBS]; /* the running jobs, oldest first */
    struct map_job *idle[MAP_JOBS];    /* a stack, so that open connections and allocated memory are reused first */
    unsigned count;                    /* how many are running; the others are idle */
    size_t bytes_in_jobs;              /* bytes of the batches of running jobs */

    uint64_t jobs_file_ns;        /* with --jobs FILE: when the file must be read again */
    uint64_t deadline_ns;         /* 0: none */
    uint64_t next_job_ns;         /* with --rate: when the next job may begin */
    uint64_t began_ns;            /* when the first job was begun; 0: no job was begun */
    uint64_t lines_begun;         /* the approximate number of items in all jobs begun */
    uint64_t items_begun;         /* the exact number of these items; counted in completion order only */
    uint64_t done;                /* items that have an answer */
    uint64_t unrun;               /* how many of these did not run to their end, because the run is halted */
    bool halted;                  /* no more items are sent */
    bool counted_first;           /* `first_status` is set */
    int first_status;             /* for GNU parallel's exit status: the status of the first item that --halt counts */
    struct joblog joblog;         /* with --joblog */
    struct done_set done_before;  /* with --resume: the items that the log has */
    struct done_place done_place; /* of the last search in it */
    struct buf hint;              /* the coordinator's hint about the last job; empty: none */
    char lost_why[400];           /* why the last job was lost */
    struct buf path, text;
    struct buf headers; /* header lines of every job */
};

/* Returns whether jobs may be begun. */
static inline bool map_run_can_ask(const struct map_run *run)
{
    return run->state >= MAP_READY && run->state < MAP_STOPPED;
}

void map_run_move(struct map_run *run, enum map_run_state to);
/* Stops the run with EXIT_JOB_FAILED and a message. Does nothing if the run has already stopped. */
void map_run_fail(struct map_run *run, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Adds an idle job to the running jobs. The caller sets the job's batch and starts the job. */
struct map_job *map_run_use_idle(struct map_run *run);

/* Starts the fleet, and sets up the run. Returns false if the run has stopped. */
MUST_CHECK bool map_begin(struct map_run *run, struct map_options *o);
/* Ends the fleet, and releases everything that the run owns. */
void map_begin_undo(struct map_run *run);
void map_job_move(struct map_job *j, enum map_job_state to);
/* Sends the batch of j, from its first unanswered item. If this item is known to be bad, moves j to MAP_JOB_AT_BAD
 * instead. */
void map_job_start(struct map_run *run, struct map_job *j, uint64_t now);
/* With --reduce: begins the only job of the run. map_reduce_feed() sends its body in pieces. */
void map_job_start_upload(struct map_run *run, struct map_job *j, uint64_t now);
/* Handles what has arrived on the connection of the job. With `--order input`, prints its answers only if the job is
 * the oldest. May end, retry or fail the job. `oldest` means that every earlier job has been answered. */
void map_job_step(struct map_run *run, struct map_job *j, bool oldest, bool readable, uint64_t now);
/* Handles a job whose answer ended without an end line, or whose coordinator drains. */
void map_cut_handle(struct map_run *run, struct map_job *j, uint64_t now);
/* Handles an answer with status 200 that is not a stream of results. If no coordinator has answered yet, the URL is
 * wrong, and the run fails. */
void map_cut_handle_stranger(struct map_run *run, struct map_job *j, uint64_t now);
/* Handles an answer that asks this program to send the job later, or an answer of a proxy that has lost the
 * coordinator. For any other answer, returns false and does nothing. */
MUST_CHECK bool map_cut_handle_refusal(struct map_run *run, struct map_job *j, uint64_t now);
/* Call it when the job has ended. Unless each item has exactly one answer, stops the run and returns false. */
MUST_CHECK bool map_cut_check_whole(struct map_run *run, struct map_job *j);
/* In MAP_JOB_IN_DOUBT: fails the items or sends them again, as soon as the run knows whether they may run twice. */
void map_cut_decide(struct map_run *run, struct map_job *j, uint64_t now);
/* Ends the run if it has waited too long for a coordinator. Tells the user if nothing has arrived from the URL for
 * CONNECTION_QUIET_S. */
void map_cut_check_time(struct map_run *run, uint64_t now);
/* Returns the time at which map_cut_check_time() must be called next; UINT64_MAX: never. */
uint64_t map_cut_due_ns(const struct map_run *run);
/* Stops the run because the service refused the job. The message has the text of the answer. */
void map_job_fail_refused(struct map_run *run, const struct map_job *j);
/* Returns whether the batch has items after the running attempt. If the running attempt ends at a bad item, returns
 * false. */
bool map_job_has_more(const struct map_run *run, struct map_job *j);
/* Returns whether the job is at a bad item that must fail now. */
bool map_job_may_skip(const struct map_run *run, const struct map_job *j, bool oldest);
/* Returns the events to poll the job's connection for. */
short map_job_events(const struct map_run *run, const struct map_job *j, bool oldest);

/* Prints every complete line that has arrived, but not a held tail. May stop the run. */
void map_answers_print(struct map_run *run, struct map_job *j);
/* Returns whether a coordinator could have sent the line. If no coordinator could have sent the line, stops the run. */
MUST_CHECK bool map_answers_check_line(struct map_run *run, const struct result_line *r);
/* Adds the item to the failures. `error` is the error object. */
void map_answers_add_failure(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice error);
/* Counts an item that has its answer. */
void map_answers_count(struct map_run *run, struct map_job *j, uint64_t in_batch);
void map_answers_print_value(struct map_run *run, struct json_slice value);
/* With --index: prints an object with the index of an item and its value or its error. */
void map_answers_print_indexed(struct map_run *run, uint64_t index, const char *name, struct json_slice content);
/* Handles the value of an item of a run that maps a command: the value is the record of the command. */
void map_record_add(struct map_run *run, struct map_job *j, uint64_t in_batch, struct json_slice value);
/* Returns the time in microseconds since 1970. */
int64_t map_record_time_us(void);
/* Handles any line of an answer: prints a value, or null for a failed item, and notes everything else. */
void map_answers_print_line(struct map_run *run, struct map_job *j, const struct result_line *r);
/* Decides whether a held tail is printed. Returns true if the tail must be printed now. */
MUST_CHECK bool map_drain_look(struct map_job *j);
/* Prints the answers in a held tail, unless all items of the tail will be sent again. `once`: items must not run twice,
 * so each cancelled item that may already have run is reported as failed. Cancelled items that are not reported have no
 * answer after this call. */
void map_drain_settle(struct map_run *run, struct map_job *j, bool once);
/* Reports the item j->bad as failed without sending it. */
void map_answers_add_bad_item(struct map_run *run, struct map_job *j);
/* Reports an item as failed because its coordinator was lost. */
void map_answers_add_lost_item(struct map_run *run, struct map_job *j, uint64_t in_batch);

/* Checks whether --load or --memfree holds back the next command of the run. If this has lasted for some seconds and no
 * command is running, tells the user which of the two it is. When the reason changes, tells the user again. */
void map_hold_look(struct map_run *run, uint64_t now);
/* Returns the time at which map_hold_look() must be called next; UINT64_MAX: never. */
uint64_t map_hold_due_ns(const struct map_run *run);

/* Returns the number of all items; 0: not known. *sure becomes false if the number is not known, or is estimated from
 * the size of the input file. */
uint64_t map_end_total(const struct map_run *run, bool *sure);
/* Like map_run_fail(), for a failure of the --errors file. The message says "cannot", followed by `what`. `error` is an
 * errno; 0: none. */
void map_end_fail_errors_file(struct map_run *run, const char *what, int error);
/* Writes the last messages. Returns the exit status. */
int map_end_finish(struct map_run *run);

#endif
