/* What collector.c and collector_memory.c share: the collector, and the memory of its segments. */
#ifndef FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_INTERNAL_H
#define FANTAIL_COORDINATOR_ANSWERS_COLLECTOR_INTERNAL_H

#include "coordinator/answers/collector.h"
#include "coordinator/answers/segments.h"

#define SEGMENT_BYTES ((size_t)64 * 1024) /* a segment grows to this size at most, unless one call adds more */

struct collector {
    struct collector_config config;
    struct segments held, spilled; /* input order: the segments in memory, and those in the spill */
    struct segments taken;         /* completion order: the indexes that were added, as merged ranges */
    struct segment *queue, *queue_last;
    struct segment *shown; /* the segment that the last peek returned */
    uint64_t next;         /* input order: the index that is read next */
    size_t memory_bytes;
    uint64_t spilled_bytes, spill_end;
    struct segment *spilling;      /* the large segment that is being written to the spill; NULL: none */
    size_t written;                /* how many bytes of `spilling` are written */
    bool compacting;               /* input order: a pass that joins small segments in the spill is under way */
    uint64_t compacted_to;         /* `first` of the last segment that this pass has seen */
    size_t compacted_n;            /* how many segments were in the spill after the last pass; at most spilled.n */
    struct collector *next_buried; /* collector_bury() */
    char *spare;                   /* the memory of a freed segment (SEGMENT_BYTES), kept for the next segment */
};

static inline bool in_input_order(const struct collector *c)
{
    return c->config.order == COLLECT_INPUT_ORDER;
}

/* collector_memory.c */
/* Call it when the memory of the collector has grown by `more` bytes and shrunk by `less` bytes. */
void segment_count(struct collector *c, size_t more, size_t less);
/* Returns how large a segment may grow. If the memory for all jobs is short, segments stay small, because each job
 * always keeps in memory the segment that is read next. */
size_t segment_limit(const struct collector *c);
bool segment_memory_is_short(const struct collector *c);
/* Grows the segment's memory to at least `need` bytes. The size doubles up to SEGMENT_BYTES. */
void segment_grow(struct collector *c, struct segment *seg, size_t need);
void segment_free(struct collector *c, struct segment *seg);
/* Reads the segment back from the spill. Returns false if that fails. */
MUST_CHECK bool segment_unspill(struct collector *c, struct segment *seg);
/* Writes answers to the spill if the memory exceeds the cap. */
MUST_CHECK enum collector_status collector_spill_over(struct collector *c);

#endif
