#include "coordinator/recorded/answer_index.h"

static uint64_t end_of(const struct answer_span *s)
{
    return s->first + s->n;
}

/* Removes the first k items of a span. */
static void cut_front(struct answer_span *s, uint64_t k)
{
    s->first += k;
    s->n -= k;
    if (!s->is_repeated) s->line += k;
}

/* Runs. */

static size_t run_length(const struct index_run *r)
{
    return r->n - r->from;
}

static bool follows(const struct answer_span *s, const struct answer_span *before)
{
    return before->block == s->block && end_of(before) == s->first && !before->is_repeated && !s->is_repeated &&
           before->line + before->n == s->line;
}

/* Appends a span. If the answers of this span directly follow the answers of the last span, makes the last span longer
 * instead. */
static void append(struct index_run *r, const struct answer_span *s)
{
    if (r->n > 0 && follows(s, &r->spans[r->n - 1]))
        r->spans[r->n - 1].n += s->n;
    else
        r->spans[r->n++] = *s;
}

/* Returns the position of the first span that begins after the item `index`. */
static size_t first_after(const struct index_run *r, uint64_t index)
{
    size_t low = r->from, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->spans[middle].first > index)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void release_run(struct index_run *r)
{
    free(r->spans);
    *r = (struct index_run){0};
}

/* One side of a merge. `head` is the part of the run's next span that has not been merged yet. */
struct merge_side {
    const struct index_run *run;
    size_t at;
    struct answer_span head; /* n is 0 at the end */
};

static void step(struct merge_side *m)
{
    m->at++;
    m->head = m->at < m->run->n ? m->run->spans[m->at] : (struct answer_span){0};
}

static struct merge_side begin_side(const struct index_run *r)
{
    struct merge_side m = {.run = r, .at = r->from};
    if (run_length(r)) m.head = r->spans[r->from];
    return m;
}

/* Removes the items below `index` from the head of a side. If no item is left in the head, takes the next span as the
 * head. */
static void pass(struct merge_side *m, uint64_t index)
{
    if (end_of(&m->head) <= index)
        step(m);
    else if (m->head.first < index)
        cut_front(&m->head, index - m->head.first);
}

/* Writes the part of the side's head that is below `index`, and removes it from the head. */
static void write_until(struct index_run *out, struct merge_side *m, uint64_t index)
{
    struct answer_span part = m->head;
    if (end_of(&part) > index) part.n = index - part.first;
    if (part.n) append(out, &part);
    pass(m, index);
}

/* Call it while neither side is at its end. Where the heads overlap, the later block wins. Writes the head that begins
 * first. If this head belongs to the later block, writes all of it. If this head belongs to the earlier block, writes
 * only the part before the other head. If both heads begin at the same item, writes nothing, and only removes the
 * overlap from the head of the earlier block. */
static void merge_step(struct index_run *out, struct merge_side *a, struct merge_side *b)
{
    struct merge_side *early = a->head.first <= b->head.first ? a : b, *late = early == a ? b : a;
    if (early->head.first < late->head.first) {
        uint64_t end = end_of(&early->head);
        bool hides = early->head.block > late->head.block;
        write_until(out, early, hides ? end : late->head.first);
        while (hides && late->head.n && late->head.first < end) pass(late, end);
        return;
    }
    struct merge_side *hidden = a->head.block < b->head.block ? a : b, *kept = hidden == a ? b : a;
    pass(hidden, end_of(&kept->head));
}

static struct index_run merge(const struct index_run *x, const struct index_run *y)
{
    struct merge_side a = begin_side(x), b = begin_side(y);
    /* A span of one run cuts at most one span of the other run in two. */
    struct index_run out = {.spans = xmalloc((2 * (run_length(x) + run_length(y)) + 1) * sizeof *out.spans)};
    while (a.head.n && b.head.n) merge_step(&out, &a, &b);
    while (a.head.n) write_until(&out, &a, UINT64_MAX);
    while (b.head.n) write_until(&out, &b, UINT64_MAX);
    return out;
}

/* The index. */

void answer_index_init(struct answer_index *ix, size_t max_spans)
{
    *ix = (struct answer_index){.horizon = UINT64_MAX, .max_spans = max_spans};
}

void answer_index_release(struct answer_index *ix)
{
    for (size_t i = 0; i < ix->run_count; i++) release_run(&ix->runs[i]);
    ix->run_count = 0;
}

void answer_index_clear(struct answer_index *ix, uint64_t floor)
{
    answer_index_release(ix);
    ix->horizon = UINT64_MAX;
    ix->floor = floor;
}

size_t answer_index_spans(const struct answer_index *ix)
{
    size_t n = 0;
    for (size_t i = 0; i < ix->run_count; i++) n += run_length(&ix->runs[i]);
    return n;
}

/* Merges the last two runs. */
static void merge_last(struct answer_index *ix)
{
    struct index_run *a = &ix->runs[ix->run_count - 2], *b = &ix->runs[ix->run_count - 1];
    struct index_run merged = merge(a, b);
    merged.spans = xrealloc(merged.spans, merged.n * sizeof *merged.spans); /* merged.n > 0 */
    release_run(a);
    release_run(b);
    *a = merged;
    ix->run_count--;
}

static void forget_the_highest(struct answer_index *ix)
{
    while (ix->run_count > 1) merge_last(ix);
    struct index_run *r = &ix->runs[0];
    size_t keep = ix->max_spans / 2 ? ix->max_spans / 2 : 1;
    if (!ix->run_count || run_length(r) <= keep) return;
    r->n = r->from + keep;
    ix->horizon = r->spans[r->n].first;
}

static void add_run(struct answer_index *ix, struct index_run run)
{
    ix->runs[ix->run_count++] = run;
    while (ix->run_count > 1 && run_length(&ix->runs[ix->run_count - 2]) < 2 * run_length(&ix->runs[ix->run_count - 1]))
        merge_last(ix);
    if (ix->max_spans && answer_index_spans(ix) > ix->max_spans) forget_the_highest(ix);
}

/* The spans of a block. */

static int by_first(const void *a, const void *b)
{
    const struct answer_span *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static void sort(struct answer_span *spans, size_t n)
{
    size_t i = 1;
    while (i < n && spans[i - 1].first <= spans[i].first) i++;
    if (i < n) qsort(spans, n, sizeof *spans, by_first);
}

/* Converts ranges to spans. The lines in the block are in the same order as the ranges. Returns false if a range is
 * wrong. */
static bool read_block_ranges(const struct block *b, struct answer_span *spans, size_t *n)
{
    uint64_t line = 0;
    *n = 0;
    for (size_t i = 0; i < b->range_count; i++) {
        const struct block_range *r = &b->ranges[i];
        bool repeated = r->repeated && r->n > 1;
        if (r->n > UINT64_MAX - r->first) return false;
        if (!r->n) continue;
        spans[(*n)++] = (struct answer_span){.first = r->first,
                                             .n = r->n,
                                             .block = b->number,
                                             .line = line,
                                             .is_error = b->kind == BLOCK_ERRORS,
                                             .is_repeated = repeated};
        line += repeated ? 1 : r->n;
    }
    sort(spans, *n);
    for (size_t i = 1; i < *n; i++)
        if (end_of(&spans[i - 1]) > spans[i].first) return false;
    return true;
}

/* Keeps only the spans between the floor and the horizon. */
static size_t select_spans(const struct answer_index *ix, struct answer_span *spans, size_t n)
{
    struct index_run kept = {.spans = spans};
    for (size_t i = 0; i < n; i++) {
        struct answer_span s = spans[i];
        if (end_of(&s) <= ix->floor || s.first >= ix->horizon) continue;
        if (s.first < ix->floor) cut_front(&s, ix->floor - s.first);
        if (end_of(&s) > ix->horizon) s.n = ix->horizon - s.first;
        append(&kept, &s);
    }
    return kept.n;
}

bool answer_index_add(struct answer_index *ix, const struct block *b)
{
    size_t n;
    if (b->kind != BLOCK_VALUES && b->kind != BLOCK_ERRORS) return true;
    struct answer_span *spans = xmalloc((b->range_count + 1) * sizeof *spans);
    bool ok = read_block_ranges(b, spans, &n);
    if (ok) n = select_spans(ix, spans, n);
    if (!ok || n == 0) {
        free(spans);
        return ok;
    }
    add_run(ix, (struct index_run){.spans = xrealloc(spans, n * sizeof *spans), .n = n});
    return true;
}

void answer_index_drop_below(struct answer_index *ix, uint64_t index)
{
    size_t kept = 0;
    if (index > ix->floor) ix->floor = index;
    for (size_t i = 0; i < ix->run_count; i++) {
        struct index_run *r = &ix->runs[i];
        r->from = first_after(r, index);
        if (r->from > 0 && end_of(&r->spans[r->from - 1]) > index) r->from--;
        if (run_length(r))
            ix->runs[kept++] = *r;
        else
            release_run(r);
    }
    ix->run_count = kept;
}

/* Lookups. */

/* Looks in one run for the first item at or after `index` that has an answer. */
static bool find_in_run(const struct index_run *r, uint64_t index, struct answer_span *found)
{
    size_t next = first_after(r, index);
    if (next > r->from && end_of(&r->spans[next - 1]) > index) {
        *found = r->spans[next - 1];
        cut_front(found, index - found->first);
        return true;
    }
    if (next == r->n) return false;
    *found = r->spans[next];
    return true;
}

/* Returns whether to use `s` instead of `best`: `s` begins earlier, or begins at the same item and belongs to a later
 * block. */
static bool is_better(const struct answer_span *s, const struct answer_span *best)
{
    return s->first < best->first || (s->first == best->first && s->block > best->block);
}

/* Shortens `span` to end where the next span of any run begins, because that next span may belong to a later block. */
static void end_before_next(const struct answer_index *ix, struct answer_span *span)
{
    for (size_t i = 0; i < ix->run_count; i++) {
        const struct index_run *r = &ix->runs[i];
        size_t next = first_after(r, span->first);
        if (next < r->n && r->spans[next].first < end_of(span)) span->n = r->spans[next].first - span->first;
    }
}

bool answer_index_find(const struct answer_index *ix, uint64_t index, struct answer_span *span)
{
    bool any = false;
    for (size_t i = 0; i < ix->run_count; i++) {
        struct answer_span found;
        if (!find_in_run(&ix->runs[i], index, &found) || (any && !is_better(&found, span))) continue;
        *span = found;
        any = true;
    }
    if (any) end_before_next(ix, span);
    return any;
}
