/*
 * The scheduler's constants. docs/decisions/scheduler.md gives the reason for each value. Private to the scheduler's
 * files.
 */
#ifndef FANTAIL_COORDINATOR_SCHED_SCHED_NUMBERS_H
#define FANTAIL_COORDINATOR_SCHED_SCHED_NUMBERS_H

#include "common/base/limits.h"

#define AHEAD_NS                 (40 * NS_PER_MS) /* work that may wait at a worker beyond its busy slots, per slot */
#define CHUNK_COST_SHARE         0.03             /* largest share of a chunk's slot time that its overhead may take */
#define CHUNK_COST_TIMES         5.0 /* a chunk's slot time if slots would be idle, as a multiple of its overhead */
#define COORDINATOR_SHARE        0.5 /* share of the coordinator's time that chunks may take with all slots busy */
#define RAMP_CHUNKS              32  /* limit of a job's chunks in flight while they are still too small */
#define RAMP_NS                  NS_PER_MS /* the limit of a job doubles each time this has passed */
#define CHUNKS_AHEAD             2.0 /* chunks of the least size that may wait at a worker beyond its busy slots */
#define CHUNK_FIXED_MOST_NS      ((double)30 * NS_PER_MS) /* largest fixed part of a chunk's slot time */
#define CHUNKS_PER_WINDOW        4                        /* least number of adaptive chunks in a worker's window */
#define CHUNK_GROWTH             8    /* a chunk may be this many times as large as the largest one answered */
#define ITEMS_REMEMBERED         1024 /* beyond this many items, or 1 s of slot time, the sums of the mean are halved */
#define CUT_RUN_BYTES            (128 * KIB) /* item bytes cut in one run; the next run follows immediately */
#define TAIL_ITEMS_KNOWN         64 /* if its mean is over this many items, a job stops measuring at its tail */
#define CHUNK_ITEMS_MAX          (1u << 22)
#define CHUNKS_PER_WORKER        (LIMIT_WORKER_CHUNKS * 3 / 4)
#define SLOTS_UNKNOWN            2 /* slots assumed for a worker that has not reported them; doubles with each answer */
#define SLOTS_UNKNOWN_MAX        64
#define WINDOW_SCALE_MIN         (1.0 / 64)
#define WINDOW_SCALE_STEP        0.02 /* least growth of the scale per answered chunk, after a 429 halved it */
#define OVERCOMMIT               2.0  /* a job below its share may fill a window up to this many times its size */
#define BUDGET_SHARE             0.2  /* retries per first attempt */
#define BUDGET_MIN               3.0  /* a job may make at least this many retries */
#define BUDGET_ALL_MIN           100.0
#define BUDGET_ALL_MAX           1000.0
#define BUDGET_TRICKLE_NS        (100 * NS_PER_MS) /* if the budget is used up, a job makes one retry in this time */
#define PAUSE_MIN_NS             (20 * NS_PER_MS)
#define PAUSE_MAX_NS             (2 * NS_PER_S)
#define PAUSE_RETRY_MAX_NS       (30 * NS_PER_S) /* a longer Retry-After is cut to this */
#define PAUSE_DRAIN_NS           (5 * NS_PER_S)
#define PAUSE_DRAIN_PROBED_NS    (100 * NS_PER_MS) /* pause of a draining endpoint that can be probed */
#define EJECT_AFTER              3 /* failures in a row that eject an endpoint; see sched_endpoint.failed_ns */
#define EJECT_NS                 (5 * NS_PER_S)
#define EJECT_MAX_NS             (60 * NS_PER_S)
#define BALANCER_PATIENCE        5                 /* after this many failures in a row, a balancer has failed */
#define PROBATION_TRICKLE_NS     (30 * NS_PER_S)   /* without budget, time between two tries on probation */
#define WAITING_AFTER_NS         (500 * NS_PER_MS) /* a job waits after this time without a usable endpoint */
#define DEFAULT_WORKER_WAIT_NS   (60 * NS_PER_S)
#define PROBE_PATIENCE_NS        (5 * NS_PER_S)
#define ROUNDING                 0.999 /* tolerance for sums of weights, which are fractions */
#define SLOW                     2.0   /* endpoints this many times slower than the mean are avoided at a job's end */
#define PICK_DRAWS               8
#define PICK_SCAN                64
#define PENDING_LOOKED_AT        8
#define MISSES_MAX               16 /* jobs that may search for room without success in one run */
#define PROBATION_LOOK_NS        NS_PER_S
#define HEDGE_PATIENCE_MIN       1.5 /* an answer is late after MIN to MAX times the expected wait */
#define HEDGE_PATIENCE_MAX       4.0
#define WAIT_MAX                 10.0
#define DEAD_PATIENCE            10.0 /* a worker silent for this many expected waits + DEAD_MIN_NS counts as dead */
#define DEAD_MIN_NS              NS_PER_S
#define STARTING_NS              (2 * NS_PER_S) /* how long a worker's report that it starts processes holds */
#define HEDGE_SCAN_NS            NS_PER_MS
#define HEDGE_SCAN_CHUNK_NS      (2 * NS_PER_US)
#define LINGER_NS                NS_PER_S /* an attempt with all answers but no end line is cut off after this */
#define HEDGES_MAX               4        /* most second attempts of a chunk, one after the other */
#define HEDGE_TOKENS_MIN         10.0     /* items of all jobs together that may be sent twice at the start */
#define HEDGE_TOKENS_MAX         100000.0
#define HEDGE_MIN_NS             (10 * NS_PER_MS)
#define HALVE_AFTER_LOST         2
#define WORKERS_PER_BALANCER_MAX 16384

#endif
