/*
 * The constants of the retry budget (retry.c). docs/decisions/scheduler.md gives the reason for each value. Private to
 * the scheduler's files.
 */
#ifndef FANTAIL_COORDINATOR_SCHED_RETRY_H
#define FANTAIL_COORDINATOR_SCHED_RETRY_H

#include "common/base/limits.h"

#define RETRY_WAIT_BYTES (32 * MIB) /* a job cuts no items while more bytes than this wait to be sent again */
/* Each waiting run of consecutive items counts as this many bytes, in addition to the bytes of its items. */
#define RETRY_RUN_BYTES KIB
/* Failed items of a chunk are gathered for at most this time, and then retried together. */
#define RETRY_GATHER_NS    (50 * NS_PER_MS)
#define RETRY_GATHER_BYTES (256 * KIB) /* no items join a chunk of retries that is larger than this */
#define BUDGET_SHARE       0.2         /* retries per first attempt */
#define BUDGET_MIN         3.0         /* every job may make at least this many retries */
#define BUDGET_ALL_MIN     100.0
#define BUDGET_ALL_MAX     1000.0
#define BUDGET_TRICKLE_NS  (100 * NS_PER_MS) /* time between two retries of a job whose budget is used up */
/* The time between two attempts of a job to endpoints on probation, when the retry budget of the job is used up. */
#define PROBATION_TRICKLE_NS (30 * NS_PER_S)

#endif
