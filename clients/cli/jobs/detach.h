/*
 * `fantail submit --detach`: gives a job to the job store of a coordinator. The service answers at once, with the id.
 *
 * The request has an idempotency key, the user's or a random one. So it can be sent again when its answer was lost, and
 * the service still makes one job.
 */
#ifndef FANTAIL_CLI_JOBS_DETACH_H
#define FANTAIL_CLI_JOBS_DETACH_H

#include "cli/jobs/job_service.h"

struct detach_options {
    struct option_words labels;
    const char *key; /* NULL: a random one */
    double reconnect_s;
    bool json; /* print the job's document instead of its id */
};

/* Checks the options. Returns 0, or complains and returns EXIT_USAGE. */
MUST_CHECK int detach_options_check(const struct option_spec *spec, const struct detach_options *o);
/* Submits the job and prints its id. Returns an exit status. A service that cannot keep the job does not run it. */
MUST_CHECK int detach_job(const struct option_spec *spec, const struct target_config *client,
                          const struct detach_options *o, const struct buf *job);

#endif
