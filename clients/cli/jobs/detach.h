/*
 * `fantail submit --detach` and `fantail map --detach`: give a job to the job store of a coordinator. The service
 * answers as soon as it has stored the job, with the id.
 *
 * The job of `submit` has an idempotency key, the user's or a random one. So it can be sent again when the answer was
 * lost, and the service still makes one job. The items of `map` come from standard input and cannot be sent again.
 */
#ifndef FANTAIL_CLI_JOBS_DETACH_H
#define FANTAIL_CLI_JOBS_DETACH_H

#include "cli/remote/job_service.h"

struct detach_options {
    struct option_words labels;
    const char *key; /* NULL: none was given */
    double reconnect_s;
    bool json; /* print the job's document instead of its id */
};

/* Checks the options. Returns 0, or complains and returns EXIT_USAGE. */
MUST_CHECK int detach_options_check(const struct option_spec *spec, const struct detach_options *o);
/* Submits the job and prints its id. Returns an exit status. A service that cannot keep the job does not run it. */
MUST_CHECK int detach_job(const struct option_spec *spec, const struct target_config *client,
                          const struct detach_options *o, const struct buf *job);

/* The same for a job whose items are on standard input; they are sent as they come. The path has the options of the job
 * in its query; labels are added to it. */
MUST_CHECK int detach_items(const struct target_config *client, const struct detach_options *o, struct buf *path,
                            const char *type);

#endif
