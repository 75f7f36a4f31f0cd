/*
 * `fantail submit --detach` and `fantail map --detach`: give a job to the job store of a coordinator. As soon as the
 * service has stored the job, it answers with the id.
 *
 * The job of `submit` has an idempotency key, either the user's or a random one. So if the answer is lost, the job can
 * be sent again, and the service still makes only one job. The items of `map` are read once and cannot be sent
 * again.
 */
#ifndef FANTAIL_CLI_JOBS_DETACH_H
#define FANTAIL_CLI_JOBS_DETACH_H

#include "cli/items/input_source.h"
#include "cli/remote/job_service.h"

struct detach_options {
    struct option_words labels;
    const char *key;  /* NULL: none was given */
    const char *path; /* detach_job(): the path of the request, which may have a query */
    double reconnect_s;
    bool json; /* print the job's document instead of its id */
};

/* Checks the options. Returns 0, or complains and returns EXIT_USAGE. */
MUST_CHECK int detach_options_check(const struct option_spec *spec, const struct detach_options *o);
/* Submits the job, which was read from `file`, and prints its id. Returns an exit status. If the coordinator has no job
 * store, does not send the job. If a replica runs the job instead of storing it, cancels the job. */
MUST_CHECK int detach_job(const struct option_spec *spec, const struct target_config *client,
                          const struct detach_options *o, const char *file, const struct buf *job);

/* A request body that consists of lines, one item on each line. */
struct detach_body {
    struct input_source *source;
    const char *type;             /* its media type */
    const struct buf *first_line; /* sent before the items; may be empty */
};

/* Like detach_job(), for a job whose items come from a source. Sends each item as soon as it has been read. The query
 * of the path has the options of the job; this function adds the labels to the query. */
MUST_CHECK int detach_items(const struct target_config *client, const struct detach_options *o,
                            const struct detach_body *body, struct buf *path);

#endif
