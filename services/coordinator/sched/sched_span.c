/* The indexes of the items of a chunk, which need not be consecutive. */
#include "coordinator/sched/scheduler_internal.h"

/* Returns the position, in chunk->spans, of the span that has item `at` of the chunk. */
static uint32_t span_of(const struct sched_chunk *chunk, uint32_t at)
{
    uint32_t low = 0, high = chunk->spans_n;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->spans[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t sched_chunk_run(const struct sched_chunk *chunk, uint32_t at, uint64_t *first)
{
    *first = chunk->first + at;
    if (chunk->spans_n == 0) return chunk->count - at;
    uint32_t i = span_of(chunk, at);
    const struct sched_span *span = &chunk->spans[i];
    *first = span->first + (at - span->at);
    return (i + 1 < chunk->spans_n ? span[1].at : chunk->count) - at;
}

uint64_t sched_chunk_index(const struct sched_chunk *chunk, uint32_t at)
{
    uint64_t index;
    sched_chunk_run(chunk, at, &index);
    return index;
}

uint32_t spans_parent_run(const struct sched_chunk *chunk, uint32_t at, uint32_t *n)
{
    uint64_t first;
    *n = sched_chunk_run(chunk, at, &first);
    if (chunk->spans_n == 0) return chunk->parent_at + at;
    const struct sched_span *span = &chunk->spans[span_of(chunk, at)];
    return span->parent_at + (at - span->at);
}

uint32_t spans_count(const struct sched_chunk *chunk)
{
    return chunk->spans_n > 0 ? chunk->spans_n : 1;
}

static void push(struct sched_chunk *chunk, uint64_t first, uint32_t at, uint32_t parent_at)
{
    if (chunk->spans_n == chunk->spans_alloc) {
        uint32_t alloc = chunk->spans_alloc ? 2 * chunk->spans_alloc : 4;
        chunk->spans = xrealloc(chunk->spans, alloc * sizeof *chunk->spans);
        chunk->job->s->span_bytes += (alloc - chunk->spans_alloc) * sizeof *chunk->spans;
        chunk->spans_alloc = alloc;
    }
    chunk->spans[chunk->spans_n++] = (struct sched_span){first, at, parent_at};
}

void spans_add(struct sched_chunk *chunk, uint64_t first, uint32_t at)
{
    if (sched_chunk_index(chunk, chunk->count - 1) + 1 == first) return;
    if (chunk->spans_n == 0) push(chunk, chunk->first, 0, chunk->parent_at);
    push(chunk, first, chunk->count, at);
}

void spans_copy(struct sched_chunk *chunk, const struct sched_chunk *from, uint32_t at, uint32_t end)
{
    uint64_t first;
    uint32_t n = sched_chunk_run(from, at, &first);
    if (n >= end - at) return;
    for (uint32_t i = at; i < end; i += n) {
        n = sched_chunk_run(from, i, &first);
        push(chunk, first, i - at, i);
    }
}

void spans_cut(struct sched_chunk *chunk)
{
    while (chunk->spans_n > 1 && chunk->spans[chunk->spans_n - 1].at >= chunk->count) chunk->spans_n--;
}

void spans_free(struct sched_chunk *chunk)
{
    chunk->job->s->span_bytes -= chunk->spans_alloc * sizeof *chunk->spans;
    free(chunk->spans);
}
