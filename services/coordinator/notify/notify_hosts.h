/*
 * The hosts to which notices may be sent: the option --notify-allow. Pure.
 *
 *     hooks.example.com          https://hooks.example.com/...
 *     hooks.example.com:8443     https://hooks.example.com:8443/...
 *     http://10.0.0.7:8080       http://10.0.0.7:8080/...
 *
 * There are no patterns: the operator names each host. So a client cannot make the coordinator call an address that the
 * operator did not allow. Owner: the struct that embeds it. A zeroed struct allows no host.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTIFY_HOSTS_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTIFY_HOSTS_H

#include "common/base/base.h"

/* The part of a URL before its path. */
struct notify_target {
    bool is_tls;
    char host[256]; /* in lower case; an IPv6 address has its brackets */
    unsigned port;
};

struct notify_hosts {
    struct notify_target *list;
    size_t count;
};

/* Reads a list of hosts, separated by commas. `text` NULL: no host. At the first fault, returns false, with a sentence
 * in err. */
MUST_CHECK bool notify_hosts_parse(struct notify_hosts *h, const char *text, char *err, size_t err_size);
/* Reads the notify URL of a job. If the URL is not an absolute http or https URL, or has a user name or a fragment,
 * returns false, with a sentence in err. */
MUST_CHECK bool notify_target_parse(struct notify_target *t, const char *url, char *err, size_t err_size);
bool notify_hosts_allow(const struct notify_hosts *h, const struct notify_target *t);
void notify_hosts_release(struct notify_hosts *h);

#endif
