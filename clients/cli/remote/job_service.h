/*
 * The coordinator, or the replicas behind one URL, that the commands for durable jobs ask. It makes one request at a
 * time. A request that may be sent twice is sent again when its connection is cut or the service is full or away (429,
 * 503), for at most reconnect_s. If the first connection cannot be made, it is not tried again, because its URL may
 * be wrong.
 */
#ifndef FANTAIL_CLI_REMOTE_JOB_SERVICE_H
#define FANTAIL_CLI_REMOTE_JOB_SERVICE_H

#include "cli/http/connection.h"
#include "cli/http/patience.h"
#include "cli/remote/remote_job.h"
#include "common/base/random.h"

#define JOB_SERVICE_SILENCE_S 90

#define RECONNECT_OPTION_ROW(S, f)                                                                                     \
    OPTION_SECONDS("reconnect-s", S, f, "300", 0, 1e9,                                                                 \
                   "when the connection is cut or the service is away, try again for this many seconds", .value = "S")

struct job_service {
    struct target target;
    struct connection http;
    struct patience patience;
    struct random_source random; /* for the jitter of the waits */
    bool reached;                /* a request was sent to this URL */
};

struct job_request {
    const char *method, *path, *headers;
    const char *body; /* borrowed */
    size_t len;
    bool may_repeat;
    bool repeats_at_409;  /* with an idempotency key: the service may still be reading the first try */
    bool stops_at_stream; /* return when the head of a 200 has come; the body of such an answer is not wanted */
};

/* Call interrupt_init() before. `spec` is NULL if the options of `config` were checked before. Returns 0, or complains
 * and returns an exit status. Call job_service_release() in both cases. */
MUST_CHECK int job_service_init(struct job_service *s, const struct option_spec *spec,
                                const struct target_config *config, double reconnect_s);
void job_service_release(struct job_service *s);
/* Makes a request. Returns false, after a complaint, if no answer has come. A signal to end also returns false, without
 * a complaint. Otherwise s->http has an answer of any status. */
MUST_CHECK bool job_service_ask(struct job_service *s, const struct job_request *request);
/* The same for a GET. Returns EXIT_OK if the answer is 200. Otherwise complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int job_service_get(struct job_service *s, const char *path);
/* Asks for one job. wait_s: wait for its end for this many seconds. The job borrows the answer. */
MUST_CHECK int job_service_read_job(struct job_service *s, const char *id, uint64_t wait_s, struct remote_job *j);
/* Reads the job in the last answer. Returns EXIT_OK, or complains and returns EXIT_JOB_FAILED. */
MUST_CHECK int job_service_answered_job(struct job_service *s, struct remote_job *j);

/* Call it when a try has failed, with why. Waits before the next try and returns true. Returns false after a complaint
 * when the service was away for too long, or without one after a signal to end. */
MUST_CHECK bool job_service_try_again(struct job_service *s, const char *why);
/* The same for a stream that has ended too early, such as "the stream of results"; `missing` says what it lacks. An
 * answer that is neither 200, 429 nor 503 is not asked for again. */
MUST_CHECK bool job_service_may_go_on(struct job_service *s, const char *stream, const char *missing);
/* Waits; returns early after a signal to end. */
void job_service_pause(uint64_t ms);
/* Polls the connection once, and reads or writes the bytes that are possible now. If nothing came for
 * JOB_SERVICE_SILENCE_S, closes it and returns false; a coordinator sends something every 15 s. */
MUST_CHECK bool job_service_step(struct job_service *s);

#endif
