/*
 * Stores the answers of a job until they are read. The job has only one reader. Up to a cap, the answers are in memory
 * (collector.h). The other answers are in a temporary file. Reading an answer removes it, so each answer can be read
 * only once.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_BUFFER_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_BUFFER_H

#include "coordinator/answers/answer_sink.h"
#include "coordinator/answers/answer_source.h"
#include "coordinator/answers/collector.h"
#include "coordinator/spill/spill_file.h"

struct answer_buffer {
    struct collector *collector;
    struct spill_file spill;
};

/* When the answers in memory would exceed memory_cap or the job's share of the budget `shared`, the newest answers are
 * written to a file in dir. `shared` (may be NULL) and `dir` are borrowed. */
void answer_buffer_init(struct answer_buffer *b, enum collector_order order, size_t memory_cap,
                        struct memory_budget *shared, struct spill_dir *dir);
/* Releases the buffer. The answers of the buffer are freed in slices: see collector_bury(). Releasing a zeroed buffer
 * is fine. */
void answer_buffer_release(struct answer_buffer *b, struct collector **buried);
/* Returns whether a long answer is being written to the file. */
bool answer_buffer_spills(const struct answer_buffer *b);
/* Writes the next part of the long answer. Returns false when the part cannot be stored. Call it once in each turn of
 * the loop while answer_buffer_spills() returns true. */
MUST_CHECK bool answer_buffer_step(struct answer_buffer *b);
struct answer_sink answer_buffer_sink(struct answer_buffer *b);
/* Use only one source at a time, because reading an answer removes it. */
struct answer_source answer_buffer_source(struct answer_buffer *b);

#endif
