/*
 * Collects the answers of a durable job into blocks for the store. The recorder is the answer sink of the job's phase.
 * Values and errors go into separate blocks, because a redrive removes the blocks of errors. The recorder counts the
 * answers of the blocks that were taken, so that the counts in the store always match the blocks of the job. A block is
 * full when the next line would make the block longer than LIMIT_RECORDED_BYTES. Pure.
 */
#ifndef FANTAIL_COORDINATOR_DURABLE_RECORDER_H
#define FANTAIL_COORDINATOR_DURABLE_RECORDER_H

#include "coordinator/answers/answer_sink.h"
#include "coordinator/recorded/range_list.h"
#include "coordinator/store/store.h"
#include "protocol/protocol.h"

/* A block and the counts of its answers. */
struct recorder_block {
    struct block block;
    uint64_t values_n, errors_n[ITEM_ERROR_COUNT];
};

struct recorder {
    struct recorder_block values, errors; /* being filled */
    struct recorder_block *full;          /* oldest first */
    size_t full_count;
    size_t full_bytes;
    /* The counts of the answers in the blocks that were taken, and in the blocks of earlier runs. */
    struct stored_counts counts;
    uint64_t error_counts[ITEM_ERROR_COUNT];
    enum item_error last_error; /* the error of the last line in `errors` */
    bool closed;                /* answers are dropped */
    /* While the recorder is closed, it drops all answers. If a dropped answer is an error that says that the item was
     * not sent, the item is added to this list. Borrowed. NULL: there is no list. */
    struct range_list *unsent;
};

/* Releasing a zeroed recorder is fine. */
void recorder_release(struct recorder *r);
/* Sets the recorder's counts to those of a job that has been claimed. */
void recorder_resume(struct recorder *r, const struct stored_job *job);
struct answer_sink recorder_sink(struct recorder *r);
/* Returns how many bytes of answers have not been taken yet. */
size_t recorder_bytes(const struct recorder *r);
/* Returns the counts including the answers that have not been taken yet. */
struct stored_counts recorder_settled(const struct recorder *r);
/* Moves the next block to `out`, which must be zeroed. Returns false when there is no block. */
MUST_CHECK bool recorder_take(struct recorder *r, struct block *out);
/* Returns the counts of errors by name as a JSON object, or NULL when there are none. The caller frees it. */
MUST_CHECK char *recorder_errors_json(const struct recorder *r);

#endif
