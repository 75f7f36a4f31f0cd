/*
 * One run of `fantail map`. Standard input is cut into batches (input.h); each batch is one job on the coordinator, and
 * several run at once, so that endless input needs bounded memory. Jobs stand in the order of their items.
 * In input order only the oldest one's answers are printed; the others' wait in their connections, which stop
 * reading when enough has gathered. The work of the others goes on meanwhile: the service keeps their answers.
 *
 * The prefix rule: what was received of a job in input order is a prefix of its answers. When its connection is cut
 * the rest of its items is sent again as a new job. A bad item is treated alike: a job refused for it is sent
 * again as a job of the items before it, then the item fails, then a job takes the items behind it.
 *
 *     map.c          the loop: polls, reads, starts, prints, ends
 *     map_job.c      one job: request, retry, refusal
 *     map_answers.c  from the lines of a job's answer to standard output and the failures; the hot path
 *     map_reduce.c   --reduce: all of the input in one job
 */
#ifndef FANTAIL_CLI_MAP_MAP_INTERNAL_H
#define FANTAIL_CLI_MAP_MAP_INTERNAL_H

#include "cli/fleet/private_fleet.h"
#include "cli/http/connection.h"
#include "cli/map/failures.h"
#include "cli/map/input.h"
#include "cli/map/map_options.h"
#include "cli/map/map_reduce.h"
#include "cli/map/output.h"
#include "cli/map/progress.h"

#define MAP_JOBS       16 /* in flight at most */
#define MAP_JOBS_SLOW  2  /* ... while these have work for MAP_OUT_S */
#define MAP_OUT_S      5
#define MAP_JOB_BYTES  (8u << 20) /* input bytes in flight at most, but for a single larger batch */
#define MAP_HELD_BYTES (4u << 20) /* answers held of a job that is not the oldest */
#define MAP_RETRIES    5          /* of one job without any progress */

enum map_job_state {
    MAP_JOB_FREE,
    MAP_JOB_RUNNING,
    MAP_JOB_BACKOFF,
    MAP_JOB_AT_BAD, /* every item before `bad` is answered */
    MAP_JOB_ENDED
};

struct map_job {
    enum map_job_state state;
    struct connection http;
    struct batch batch;
    uint64_t answered; /* items of the batch */
    uint64_t base;     /* of the running attempt: the first item it was given */
    uint64_t first;    /* completion order: items of all jobs before, by our count */
    size_t scanned;    /* bytes of the answer known to have no newline */
    bool end_seen;
    bool vetted;  /* bad items are looked for before sending; most input has none, so only once one was refused */
    bool has_bad; /* the running attempt ends before `bad` */
    struct bad_item bad;
    unsigned retries;
    uint64_t retry_ns;
    uint64_t seek_index; /* batch_seek()'s last position */
    size_t seek_offset;
};

struct map_run {
    const struct map_options *options;
    struct private_fleet private_fleet;
    struct target target;
    bool reachable; /* the coordinator has answered once */
    bool target_known;
    bool asked; /* a job was begun */

    struct input input;
    struct output output;
    struct failures failures;
    struct map_reduce reduction; /* with --reduce only */
    struct progress progress;
    const char *note;
    bool told_waiting;

    struct map_job jobs[MAP_JOBS];
    struct map_job *running[MAP_JOBS]; /* oldest first */
    struct map_job *idle[MAP_JOBS];    /* a stack: warm connections and memory are used again first */
    unsigned count;                    /* running; the others are idle */
    size_t bytes_in_flight;

    uint64_t deadline_ns; /* 0: none */
    uint64_t sent;        /* items in all jobs begun; in completion order only */
    uint64_t done, succeeded;
    uint64_t began_ns, lines_out; /* first job; items in all jobs begun, about */
    struct buf path, text;
    struct buf headers; /* of every job */
    bool stopped;       /* nothing more is to be done; status says how it went */
    int status;
};

/* Ends the run with EXIT_JOB_FAILED and a message. */
void map_run_fail(struct map_run *run, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The next job, whose batch is to be set. */
struct map_job *map_run_take_idle(struct map_run *run);
/* Sends the batch in j (from the first unanswered item on). */
void map_job_start(struct map_run *run, struct map_job *j, uint64_t now);
/* Reads and prints what has come; may end, retry or fail the job. `oldest`: its answers may be printed. */
void map_job_step(struct map_run *run, struct map_job *j, bool oldest, bool readable, uint64_t now);
/* The job stands at a bad item, and it is time to say so. */
bool map_job_may_skip(const struct map_run *run, const struct map_job *j, bool oldest);
/* What to poll the connection for. */
short map_job_events(const struct map_run *run, const struct map_job *j, bool oldest);
/* With --reduce: begins the one job, whose body is given in pieces. */
void map_job_start_upload(struct map_run *run, struct map_job *j, uint64_t now);

/* Takes every whole line that has come of the answer. May stop the run. */
void map_answers_take(struct map_run *run, struct map_job *j);
/* The item j->bad fails, here, without having been sent. */
void map_answers_add_bad_item(struct map_run *run, struct map_job *j);

#endif
