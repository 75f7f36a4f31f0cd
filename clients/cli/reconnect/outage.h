/*
 * Decides how long a run of `fantail map` keeps trying to reconnect to a coordinator. An outage begins when the
 * connection of a job fails. The outage ends with the next new answer of any job. Pure.
 *
 * The run gives up if no coordinator accepts a job within limit_ns after a failure. The run also gives up if
 * coordinators accept a job but are lost again and again, and no new answer arrives within limit_ns. Time that a
 * coordinator spends on a job does not count, because an item may take a long time.
 */
#ifndef FANTAIL_CLI_RECONNECT_OUTAGE_H
#define FANTAIL_CLI_RECONNECT_OUTAGE_H

#include "common/base/base.h"
#include "common/base/random.h"

enum outage_cause {
    OUTAGE_UNREACHED, /* no byte of the request was sent */
    OUTAGE_LOST,      /* the request was sent, and no coordinator is known to have accepted it */
    OUTAGE_CUT,       /* a coordinator had accepted the job */
    OUTAGE_FULL       /* a coordinator or a proxy asks to send the job later: status 429 or 503 */
};

/* The failures of one job since its last new answer. */
struct outage_tries {
    unsigned failures, cuts;
};

struct outage {
    uint64_t limit_ns; /* 0: a lost job is not sent again */
    uint64_t began_ns; /* the time of the first failure since the last new answer; 0: none */
    uint64_t away_ns;  /* the time of the first failure since a coordinator accepted a job; 0: none */
    bool accepted;     /* the URL is right: a coordinator has accepted a job of this run or sent its list of tasks */
    bool said;         /* the user was told of this outage */
    struct random_source random;
};

void outage_init(struct outage *o, double limit_s, uint64_t seed);
void outage_note_accepted(struct outage *o);
void outage_note_answer(struct outage *o);
/* Notes that a try to run a job has failed. Returns false if the run should give up. Otherwise sets *retry_ns to the
 * instant of the next try. retry_after_s is from the answer; -1: the answer has none. */
MUST_CHECK bool outage_note_failure(struct outage *o, enum outage_cause cause, struct outage_tries *tries,
                                    double retry_after_s, uint64_t now, uint64_t *retry_ns);
/* Returns how long the run waits for a list of tasks. */
uint64_t outage_patience_ns(const struct outage *o);
/* Returns how long to wait before the next try, with jitter. `failures` is the number of earlier failures. */
uint64_t outage_backoff_ns(struct outage *o, unsigned failures);

#endif
