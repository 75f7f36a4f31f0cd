/*
 * The commands for durable jobs send their requests, one at a time, to a coordinator or to the replicas behind one URL.
 * If the connection is cut, or the service is full or unavailable (429, 503), a request that may be sent twice is sent
 * again, for at most reconnect_s. If the very first connection cannot be made, it is not tried again, because the URL
 * may be wrong.
 */
#ifndef FANTAIL_CLI_REMOTE_JOB_SERVICE_H
#define FANTAIL_CLI_REMOTE_JOB_SERVICE_H

#include "cli/http/connection.h"
#include "cli/remote/request_retry.h"
#include "cli/remote/remote_job.h"
#include "common/base/random.h"

#define RECONNECT_OPTION_ROW(S, f)                                                                                     \
    OPTION_SECONDS("reconnect-s", S, f, "300", 0, 1e9,                                                                 \
                   "when the connection is cut or the service is unavailable, try again for this many seconds",        \
                   .value = "S")

struct job_service {
    struct target target;
    struct connection http;
    struct request_retry retry;
    struct random_source random; /* for the jitter of the waits */
    bool reached;                /* this program has sent a request to this URL */
};

struct job_request {
    const char *method, *path, *headers;
    const char *body; /* borrowed */
    size_t len;
    bool may_repeat;
    bool repeats_at_409;  /* repeat after 409, too: an earlier try with this idempotency key may still be arriving */
    bool stops_at_stream; /* return when the head of an answer with status 200 has come; its body is not needed */
};

/* Call interrupt_init() first. `spec` is NULL if the options of `config` have already been checked. Returns 0, or
 * complains and returns an exit status. Call job_service_release() after success and after failure. */
MUST_CHECK int job_service_init(struct job_service *s, const struct option_spec *spec,
                                const struct target_config *config, double reconnect_s);
void job_service_release(struct job_service *s);
/* Makes a request. If request->may_repeat is set, repeats the request after a failure. If the last try fails, complains
 * and returns false. After a signal to end, returns false without a further complaint. Otherwise s->http has the
 * answer, whatever its status. */
MUST_CHECK bool job_service_ask(struct job_service *s, const struct job_request *request);
/* Like job_service_ask(), for a GET. Returns EXIT_OK if the answer is 200. Otherwise complains and returns
 * EXIT_JOB_FAILED. */
MUST_CHECK int job_service_get(struct job_service *s, const char *path);
/* Asks for one job, and waits at most wait_s seconds for the end of the job. *j borrows from the answer. Returns
 * EXIT_OK, or complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int job_service_read_job(struct job_service *s, const char *id, uint64_t wait_s, struct remote_job *j);
/* Reads the job in the last answer. Returns EXIT_OK, or complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int job_service_answered_job(struct job_service *s, struct remote_job *j);

/* Call it when a try has failed; `why` is the reason. Waits before the next try and returns true. If the service was
 * never reached, or was unavailable for too long, complains and returns false. After a signal to end, returns false
 * without a further complaint. */
MUST_CHECK bool job_service_try_again(struct job_service *s, const char *why);
/* Like job_service_try_again(), for a stream that has ended too early. `stream` is its name, such as "the stream of
 * results", and `missing` says what is missing, such as "the end line is missing". If the service has answered with a
 * status other than 200, 429 and 503, complains and returns false. */
MUST_CHECK bool job_service_may_go_on(struct job_service *s, const char *stream, const char *missing);
/* Waits; returns early after a signal to end. */
void job_service_pause(uint64_t ms);
/* Waits until the connection is ready, and then reads or writes what is possible without blocking. Returns early after
 * a signal to end. A coordinator sends something every 15 s. If nothing has arrived for CONNECTION_SILENCE_S, closes
 * the connection and returns false. */
MUST_CHECK bool job_service_step(struct job_service *s);

#endif
