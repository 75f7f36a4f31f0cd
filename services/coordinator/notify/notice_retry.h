/*
 * Decides whether a notice is sent again, and how long the notifier waits before the next attempt. Follows Standard
 * Webhooks (https://www.standardwebhooks.com). Pure.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTICE_RETRY_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTICE_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/base.h"

enum notice_result {
    NOTICE_DELIVERED, /* 2xx */
    NOTICE_FAILED,    /* the notice is sent again, if it has attempts left */
    NOTICE_GONE,      /* 410: the receiver wants no more notices */
    NOTICE_RESULT_COUNT
};
/* `status` 0: there was no answer. */
enum notice_result notice_judge(int status);

#define NOTICE_PAUSES_MAX 32
/* The pauses between the attempts: s[0] follows the first attempt, and so on. */
struct notice_pauses {
    double s[NOTICE_PAUSES_MAX];
    unsigned n;
};
/* Reads numbers of seconds, separated by commas. At the first fault, returns false, with a sentence in err. */
MUST_CHECK bool notice_pauses_parse(struct notice_pauses *p, const char *text, char *err, size_t err_size);
/* Returns how long to wait after this attempt; the first attempt is 1. `jitter`, from 0 to 1, makes the pause longer by
 * up to a fifth, so that notices that failed together are not sent together again. Returns -1 after the last attempt.
 */
int64_t notice_pause_ms(const struct notice_pauses *p, unsigned attempt, double jitter);

#endif
