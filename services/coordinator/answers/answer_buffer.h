/*
 * The answers of a job between the workers and one reader: a collector in memory, and a temporary file for what does
 * not fit there. An answer that was read is gone, so each answer can be read only once.
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

/* When more than memory_cap bytes would be in memory, the newest answers go to a file in dir. dir is borrowed. */
void answer_buffer_init(struct answer_buffer *b, enum collector_order order, size_t memory_cap, struct spill_dir *dir);
/* Releasing a zeroed buffer is fine. */
void answer_buffer_release(struct answer_buffer *b);
struct answer_sink answer_buffer_sink(struct answer_buffer *b);
/* Use one source at a time: two would take answers from each other. */
struct answer_source answer_buffer_source(struct answer_buffer *b);

#endif
