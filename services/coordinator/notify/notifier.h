/*
 * Sends notices of the ends of durable jobs to URLs. The notifier takes the due notices from the store, and posts each
 * notice to its URL. After the attempt, the notice is removed, or is delayed until the next attempt. If this
 * coordinator dies during the attempt, the notice is due again after NOTICE_LEASE_MS, and any coordinator with this
 * store takes it. So a notice may arrive more than once, always with the same webhook-id.
 *
 *   TAKE_NOTICE ----> the POST ----> 2xx, 410, or the last attempt has failed: REMOVE_NOTICE
 *                             +----> otherwise: DELAY_NOTICE
 *
 * Owner: the coordinator. Without --notify-allow the notifier does nothing.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTIFIER_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTIFIER_H

#include <uv.h>

#include "common/base/random.h"
#include "common/net/tls_material.h"
#include "common/service/option.h"
#include "common/service/token_file.h"
#include "coordinator/notify/notice.h"
#include "coordinator/notify/notice_keys.h"
#include "coordinator/notify/notice_retry.h"
#include "coordinator/notify/notify_hosts.h"

struct http_client;

enum { NOTICE_LEASE_MS = 30000 };

struct notifier_config {
    const char *allow;       /* --notify-allow; NULL: no host */
    const char *secret_file; /* NULL: none */
    const char *ca;          /* NULL: the system's authorities */
    const char *pauses_s;
};

struct notifier {
    const struct notifier_config *config; /* set it before notifier_check() */

    /* Private. */
    struct notify_hosts hosts;
    struct notice_pauses pauses;
    struct token_file secrets;
    struct notice_keys keys;
    struct store *store; /* NULL: the notifier does nothing */
    struct http_client *client;
    struct tls_store tls; /* the authorities of --notify-ca */
    uv_loop_t *loop;
    uv_timer_t timer;
    struct list attempts; /* notices that were taken */
    bool taking;          /* a TAKE_NOTICE call is open */
    bool wanted;          /* there may be due notices that the open TAKE_NOTICE does not find */
    bool draining;        /* no more notices are taken */
    bool stopped;         /* no more requests are made */
    uint64_t taken_ns;    /* when a TAKE_NOTICE was last started */
    struct random_source random;
    uint64_t *results[NOTICE_RESULT_COUNT], *given_up;
};

/* Checks the options and reads the secrets. Returns 0, or the exit status after a message. */
MUST_CHECK int notifier_check(struct notifier *n, const struct option_spec *spec, bool has_store);
void notifier_register_metrics(struct notifier *n);
/* Does nothing if no host is allowed. The store is borrowed. If a file can no longer be read, returns false and writes
 * a sentence to err. */
MUST_CHECK bool notifier_start(struct notifier *n, uv_loop_t *loop, struct store *store, char *err, size_t err_size);
/* Call it when a job has ended. Takes the notice of the job immediately, instead of waiting for the timer. */
void notifier_poke(struct notifier *n);
void notifier_reload(struct notifier *n);
/* Takes no more notices. */
void notifier_drain(struct notifier *n);
/* Returns true if no notice is being taken or sent. */
bool notifier_is_idle(const struct notifier *n);
/* Cancels the open requests. The notices in the cancelled requests are sent again later. The loop must keep running
 * until the handles are closed. Close the store only after this call. */
void notifier_stop(struct notifier *n);
/* Call it after the loop has ended. */
void notifier_release(struct notifier *n);

#endif
