/*
 * The addresses of the coordinators. Reads the option --register, a list of
 *
 *   http://host:8080        one coordinator; each new connection resolves its name
 *   dns://name:8080         every address of the name, resolved again every few seconds
 *   balancer://name:8080    a balancer of coordinators. The owner regularly sends requests through the balancer, to see
 *                           which coordinator answers. So the owner finds a new coordinator even before a name server
 *                           lists that coordinator
 *
 * With TLS: https://, dns+https:// and balancer+https://. The coordinator's certificate must be valid for the name in
 * the option.
 *
 * An address that the name server no longer lists stays known, because a draining coordinator is not listed. The owner
 * drops such an address when it no longer answers.
 */
#ifndef FANTAIL_WORKER_REGISTRATION_COORDINATORS_H
#define FANTAIL_WORKER_REGISTRATION_COORDINATORS_H

#include <uv.h>

#include "common/base/base.h"

struct coordinator_name;

struct coordinators_ops {
    /* Reports the address of a coordinator. The address may already be known. connect_to is NULL if the URL contains
     * the address. */
    void (*found)(void *data, const char *url, const char *connect_to);
    /* Reports the URL of a balancer of coordinators. */
    void (*balancer)(void *data, const char *url);
};

struct coordinators {
    uv_loop_t *loop;
    const struct coordinators_ops *ops;
    void *data;
    struct coordinator_name *names;
};

/* Only checks `text`. Returns false, with a sentence in err, if `text` is invalid. */
MUST_CHECK bool coordinators_check(const char *text, char *err, size_t err_size);
bool coordinators_use_tls(const char *text);
/* Returns whether the text is a numeric address with a port: "10.0.0.7:8080" or "[fd00::7]:8080". */
bool coordinators_is_address(const char *text);
/* Calls found() for the coordinators in the text, and balancer() for the balancers. The text must already have passed
 * coordinators_check(). */
void coordinators_start(struct coordinators *c, uv_loop_t *loop, const char *text, const struct coordinators_ops *ops,
                        void *data);
/* The loop must keep running until the handles are closed. A zeroed struct is fine. */
void coordinators_stop(struct coordinators *c);

#endif
