#include "coordinator/recorded/block_fold.h"

#include "common/base/limits.h"
#include "protocol/protocol.h"

enum { PLAN_SPANS = 256 };                   /* how many spans the fold looks ahead for the blocks that it needs */
enum { DROP_AFTER_SPANS = 256 };             /* after this many spans, the index drops the spans that were folded */
enum { LINE_COST_BYTES = 64 };               /* a line costs at most this, plus the bytes that the reducer reads */
#define CACHE_BYTES       (16 * (size_t)MIB) /* limit for the bytes of all blocks in memory */
#define CACHE_SPARE_BYTES (2 * (size_t)MIB)  /* limit for the blocks that are not known to be needed again */

void block_fold_init(struct block_fold *f, enum job_reduce kind, size_t max_spans, size_t max_bytes)
{
    *f = (struct block_fold){0};
    reduction_init(&f->reduction, kind, max_bytes);
    answer_index_init(&f->index, max_spans);
}

void block_fold_release(struct block_fold *f)
{
    reduction_release(&f->reduction);
    answer_index_release(&f->index);
    block_cache_release(&f->cache);
}

bool block_fold_add_ranges(struct block_fold *f, const struct block *b)
{
    return answer_index_add(&f->index, b);
}

void block_fold_has_ranges(struct block_fold *f)
{
    f->has_ranges = true;
}

/* Tells the cache which of its blocks are needed next. */
static void plan(struct block_fold *f)
{
    struct answer_span s;
    uint64_t at = f->position;
    block_cache_plan(&f->cache);
    for (unsigned n = 0; n < PLAN_SPANS && answer_index_find(&f->index, at, &s); n++) {
        if (!s.is_error) block_cache_note(&f->cache, s.block, s.first);
        at = s.first + s.n;
    }
}

void block_fold_add(struct block_fold *f, struct block *b)
{
    plan(f);
    block_cache_add(&f->cache, b, f->position, 0, CACHE_BYTES, CACHE_SPARE_BYTES);
}

static enum block_fold_state fail(struct block_fold *f, const char *why)
{
    snprintf(f->error, sizeof f->error, "%s", why);
    return BLOCK_FOLD_FAILED;
}

/* Folds one value, or a part of a long value. Returns false if a part of the value is left to fold. After a failure,
 * returns true, and f->error or f->reduction.error is set. */
static bool fold_value(struct block_fold *f, const char *line, size_t len, size_t *budget)
{
    struct answer_line parsed = answer_line_parse(line, len, false);
    if (parsed.kind != ANSWER_VALUE) {
        fail(f, "a block of values has a line that is not a value");
        return true;
    }
    size_t cost = len < LINE_COST_BYTES ? len + 1 : LINE_COST_BYTES;
    *budget -= cost < *budget ? cost : *budget;
    return reduction_add(&f->reduction, f->position, parsed.body, parsed.body_len, budget);
}

/* Folds the values of the span until the budget is used up. */
static enum block_fold_state fold_span(struct block_fold *f, const struct answer_span *s, size_t *budget)
{
    const struct cached_block *b = block_cache_find(&f->cache, s->block);
    size_t at, end;
    f->position = s->first;
    f->wanted = s->block;
    if (!b) return BLOCK_FOLD_BLOCK;
    if (!cached_block_lines(b, s->line, s->n, &at, &end)) return fail(f, "a block has fewer lines than its ranges say");
    while (*budget > 0 && at < end) {
        const char *line = b->lines.data + at;
        size_t len = (size_t)((const char *)memchr(line, '\n', end - at) - line);
        if (!fold_value(f, line, len, budget)) break;
        if (f->error[0]) return BLOCK_FOLD_FAILED;
        if (f->reduction.error[0]) return fail(f, f->reduction.error);
        at += len + 1;
        f->position++;
    }
    if (++f->spans % DROP_AFTER_SPANS == 0) answer_index_drop_below(&f->index, f->position);
    return BLOCK_FOLD_MORE;
}

/* Call it when the index has forgotten the answers of the next items. */
static enum block_fold_state want_ranges(struct block_fold *f)
{
    if (f->position < f->index.horizon) f->position = f->index.horizon;
    answer_index_clear(&f->index, f->position);
    f->has_ranges = false;
    return BLOCK_FOLD_RANGES;
}

enum block_fold_state block_fold_step(struct block_fold *f, size_t budget)
{
    struct answer_span s;
    if (!f->has_ranges) return BLOCK_FOLD_RANGES;
    while (budget > 0) {
        if (!answer_index_find(&f->index, f->position, &s))
            return f->index.horizon == UINT64_MAX ? BLOCK_FOLD_DONE : want_ranges(f);
        if (s.is_error) {
            f->position = s.first + s.n;
            budget -= LINE_COST_BYTES < budget ? LINE_COST_BYTES : budget;
            continue;
        }
        enum block_fold_state state = fold_span(f, &s, &budget);
        if (state != BLOCK_FOLD_MORE || f->reduction.lacks_memory) return state;
    }
    return BLOCK_FOLD_MORE;
}

struct json_slice block_fold_result(struct block_fold *f)
{
    return reduction_result(&f->reduction);
}
