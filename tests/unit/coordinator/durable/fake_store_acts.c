#include <criterion/criterion.h>

#include "coordinator/items/jobspec_fields.h"
#include "unit/coordinator/durable/fake_store_internal.h"

/* Copies. */

static char *copy_text(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void replace_text(char **to, const char *from)
{
    char *copy = copy_text(from);
    free(*to);
    *to = copy;
}

static struct block copy_block(const struct block *b, bool with_lines)
{
    struct block copy = *b;
    size_t size = b->range_count * sizeof *b->ranges;
    copy.lines = (struct buf){0};
    copy.ranges = size ? xmalloc(size) : NULL;
    if (size) memcpy(copy.ranges, b->ranges, size);
    if (with_lines && b->lines.len) buf_add(&copy.lines, b->lines.data, b->lines.len);
    return copy;
}

/* The operations. Each function returns the status of the call. */

static enum store_status fill_found(struct store_call *c, const struct fake_job *j, enum store_status status)
{
    stored_job_release(&c->found);
    stored_job_copy(&c->found, &j->job);
    return status;
}

static enum store_status add_job(struct fake_store *s, struct store_call *c, struct fake_job *same)
{
    for (size_t i = 0; c->job.key && i < s->job_count; i++)
        if (s->jobs[i]->job.key && strcmp(s->jobs[i]->job.key, c->job.key) == 0)
            return fill_found(c, s->jobs[i], STORE_EXISTS);
    if (same) return STORE_CONFLICT;
    fake_store_insert(s, &c->job)->job.state = STORED_RECEIVING;
    return STORE_OK;
}

static enum store_status check_fence(const struct store_call *c, const struct fake_job *j)
{
    return j->job.state == STORED_RUNNING && j->job.fence == c->job.fence ? STORE_OK : STORE_FENCED;
}

static bool is_same_block(const struct block *a, const struct block *b)
{
    if (a->kind != b->kind || a->range_count != b->range_count) return false;
    for (size_t i = 0; i < a->range_count; i++)
        if (a->ranges[i].first != b->ranges[i].first || a->ranges[i].n != b->ranges[i].n) return false;
    return true;
}

/* If this call is repeated, returns the block that an earlier try has added. Returns NULL if there is no such block. */
static const struct block *find_added(const struct store_call *c, const struct fake_job *j)
{
    for (size_t i = 0; c->again && i < j->block_count; i++)
        if (j->blocks[i].number > c->after && is_same_block(&j->blocks[i], &c->block)) return &j->blocks[i];
    return NULL;
}

static enum store_status add_block(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    bool running = j->job.state != STORED_RECEIVING;
    if (running && check_fence(c, j) != STORE_OK) return STORE_FENCED;
    const struct block *added = find_added(c, j);
    if (added) {
        c->block.number = added->number;
    } else {
        struct block b = copy_block(&c->block, true);
        c->block.number = fake_store_add_block(s, j, &b);
    }
    if (c->block.kind != BLOCK_VALUES && c->block.kind != BLOCK_ERRORS) return STORE_OK;
    j->job.counts = c->job.counts;
    replace_text(&j->job.errors, c->job.errors);
    return STORE_OK;
}

static enum store_status accept_job(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    bool is_whole = j->block_count == c->job.item_blocks;
    if (j->job.state != STORED_RECEIVING || !is_whole) return fill_found(c, j, STORE_CONFLICT);
    replace_text(&j->job.options, c->job.options);
    replace_text(&j->job.task, c->job.task);
    replace_text(&j->job.labels, c->job.labels);
    replace_text(&j->job.key_digest, c->job.key_digest);
    j->job.priority = c->job.priority;
    j->job.items = c->job.items;
    j->job.state = STORED_PENDING;
    return fill_found(c, j, STORE_OK);
}

/* The functions below decide which coordinator may claim a job. */

static void tell(struct fake_store *s, const struct store_call *c)
{
    struct fake_told *t = s->told;
    while (t->holder && t->holder != c->holder) t++;
    cr_assert_lt(t - s->told, (ptrdiff_t)ARRAY_SIZE(s->told));
    t->holder = c->holder;
    t->heard_ms = s->now_ms;
    replace_text(&t->serves, c->serves);
    replace_text(&t->opens, c->opens);
}

static bool has_name(const char *list, const char *prefix, const char *name, size_t len)
{
    char quoted[128];
    snprintf(quoted, sizeof quoted, "\"%s%.*s\"", prefix, (int)len, name);
    return strstr(list, quoted) != NULL;
}

/* Returns whether the list has all tasks of the job. */
static bool has_tasks(const char *list, const struct stored_job *j)
{
    bool all = !has_name(list, "!", j->task, strlen(j->task));
    for (const char *at = j->task, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, ",");
        all &= has_name(list, "", at, (size_t)(end - at));
    }
    return all;
}

static bool other_has(const struct fake_store *s, const char *holder, bool open, const struct stored_job *j)
{
    for (const struct fake_told *t = s->told; t->holder; t++)
        if (t->holder != holder && t->heard_ms > s->now_ms - STORE_ANNOUNCED_MS &&
            has_tasks(open ? t->opens : t->serves, j))
            return true;
    return false;
}

static bool is_for(const struct fake_store *s, const struct store_call *c, const struct stored_job *j)
{
    if (!c->serves || has_tasks(c->opens, j)) return true;
    if (has_tasks(c->serves, j)) return !other_has(s, c->holder, true, j);
    return c->others && !other_has(s, c->holder, false, j);
}

static bool waits(const struct fake_store *s, const struct fake_job *j)
{
    return j->job.state == STORED_PENDING || (j->job.state == STORED_RUNNING && j->lease_end_ms <= s->now_ms);
}

static bool may_claim(const struct fake_store *s, const struct store_call *c, const struct fake_job *j)
{
    return waits(s, j) && is_for(s, c, &j->job);
}

static void fill_whole(const struct fake_store *s, struct store_call *c, const struct fake_job *j)
{
    size_t bytes = 0;
    for (size_t i = 0; i < j->block_count; i++) bytes += j->blocks[i].lines.len;
    c->whole = s->gives_whole && c->wants_whole && j->block_count <= STORE_WHOLE_BLOCKS && bytes <= STORE_WHOLE_BYTES;
    if (!c->whole) return;
    c->blocks = xcalloc(STORE_WHOLE_BLOCKS, sizeof *c->blocks);
    for (size_t i = 0; i < j->block_count; i++) c->blocks[c->block_count++] = copy_block(&j->blocks[i], true);
}

static enum store_status claim(struct fake_store *s, struct store_call *c, struct fake_job *none)
{
    struct fake_job *best = NULL;
    if (c->serves) tell(s, c);
    if (c->only_announces) return STORE_NOT_FOUND;
    size_t waiting = 0;
    for (size_t i = 0; i < s->job_count; i++) {
        waiting += waits(s, s->jobs[i]);
        if (may_claim(s, c, s->jobs[i]) && (!best || s->jobs[i]->job.priority > best->job.priority)) best = s->jobs[i];
    }
    if (!best) return STORE_NOT_FOUND;
    if (s->whole_fails && c->wants_whole) return STORE_AWAY;
    best->job.fence++;
    best->job.state = STORED_RUNNING;
    if (!best->job.started_ms) best->job.started_ms = s->now_ms;
    best->lease_end_ms = s->now_ms + (int64_t)c->lease_ms;
    best->holder = c->holder;
    c->now_ms = s->now_ms;
    c->more = waiting > 1; /* `waiting` includes `best` */
    fill_whole(s, c, best);
    return fill_found(c, best, STORE_OK);
}

static enum store_status renew(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (check_fence(c, j) != STORE_OK) return STORE_FENCED;
    j->lease_end_ms = s->now_ms + (int64_t)c->lease_ms;
    c->now_ms = s->now_ms;
    c->wanted_elsewhere = c->yields != YIELD_NO && other_has(s, j->holder, c->yields == YIELD_TO_OPEN, &j->job);
    return fill_found(c, j, STORE_OK);
}

static enum store_status hand_back(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (check_fence(c, j) != STORE_OK) return STORE_FENCED;
    j->job.state = STORED_PENDING;
    return STORE_OK;
}

static void end_job(struct fake_store *s, struct fake_job *j, enum stored_state state, const char *reason)
{
    j->job.state = state;
    j->job.ended_ms = s->now_ms;
    replace_text(&j->job.reason, reason);
}

static enum store_status end(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (check_fence(c, j) != STORE_OK) return STORE_FENCED;
    if (c->block.range_count > 0) add_block(s, c, j);
    j->job.counts = c->job.counts;
    replace_text(&j->job.errors, c->job.errors);
    end_job(s, j, c->job.state, c->job.reason);
    if (c->job.result) replace_text(&j->job.result, c->job.result);
    return fill_found(c, j, STORE_OK);
}

/* Adds the cancelled items to the counts of errors. */
static void add_cancelled(struct fake_job *j)
{
    struct buf b = {0};
    size_t len;
    if (j->job.counts.cancelled == 0) return;
    size_t before = j->job.errors ? strlen(j->job.errors) - 1 : 0;
    if (before > 0) buf_add(&b, j->job.errors, before);
    buf_addf(&b, "%c\"cancelled\":%llu}", before > 0 ? ',' : '{', (unsigned long long)j->job.counts.cancelled);
    free(j->job.errors);
    buf_cstr(&b);
    j->job.errors = buf_detach(&b, &len);
}

static enum store_status want_cancel(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    struct stored_counts *n = &j->job.counts;
    if (stored_state_is_end(j->job.state)) return fill_found(c, j, STORE_CONFLICT);
    j->job.cancel_wanted = true;
    if (j->job.state == STORED_PENDING) {
        n->cancelled = j->job.items - n->succeeded - n->failed;
        add_cancelled(j);
        end_job(s, j, STORED_CANCELLED, STORED_CANCELLED_BY_CLIENT);
    }
    return fill_found(c, j, STORE_OK);
}

static enum store_status change(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    struct jobspec spec;
    struct jobspec_error err;
    struct buf merged = {0};
    size_t len;
    if (j->job.state != STORED_PENDING && j->job.state != STORED_RUNNING) return fill_found(c, j, STORE_CONFLICT);
    jobspec_init(&spec);
    if (j->job.changes) cr_assert(jobspec_read_changes(&spec, j->job.changes, strlen(j->job.changes), &err));
    uint64_t before = spec.seen;
    spec.seen = 0;
    cr_assert(jobspec_read_changes(&spec, c->job.changes, strlen(c->job.changes), &err), "%s", err.detail);
    if (jobspec_given(&spec, "priority")) j->job.priority = (int)spec.priority;
    spec.seen |= before;
    jobspec_write_changes(&spec, &merged);
    free(j->job.changes);
    buf_cstr(&merged);
    j->job.changes = buf_detach(&merged, &len);
    jobspec_release(&spec);
    return fill_found(c, j, STORE_OK);
}

static void drop_errors(struct fake_job *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->block_count; i++) {
        if (j->blocks[i].kind != BLOCK_ITEMS && j->blocks[i].kind != BLOCK_VALUES)
            block_release(&j->blocks[i]);
        else
            j->blocks[kept++] = j->blocks[i];
    }
    j->block_count = kept;
}

static enum store_status redrive(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (!stored_state_is_end(j->job.state)) return fill_found(c, j, STORE_CONFLICT);
    if (j->job.counts.succeeded == j->job.items) return fill_found(c, j, STORE_OK);
    drop_errors(j);
    replace_text(&j->job.errors, NULL);
    replace_text(&j->job.reason, NULL);
    replace_text(&j->job.result, NULL);
    j->job.counts.failed = j->job.counts.cancelled = 0;
    j->job.state = STORED_PENDING;
    j->job.redrives++;
    j->job.started_ms = j->job.ended_ms = 0;
    j->job.cancel_wanted = false;
    return fill_found(c, j, STORE_OK);
}

static enum store_status remove_ended(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (!stored_state_is_end(j->job.state)) return fill_found(c, j, STORE_CONFLICT);
    fake_store_remove(s, j);
    return STORE_OK;
}

static enum store_status discard(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (j->job.state != STORED_RECEIVING) return fill_found(c, j, STORE_CONFLICT);
    fake_store_remove(s, j);
    return STORE_OK;
}

static enum store_status sweep(struct fake_store *s, struct store_call *c, struct fake_job *none)
{
    for (size_t i = 0; i < s->job_count; i++) {
        const struct stored_job *j = &s->jobs[i]->job;
        if (!stored_state_is_end(j->state) || j->ended_ms + c->ttl_ms >= s->now_ms) continue;
        fake_store_remove(s, s->jobs[i]);
        c->more = true;
        break;
    }
    return STORE_OK;
}

static enum store_status read_job(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    if (stored_state_is_end(j->job.state)) fill_whole(s, c, j);
    return fill_found(c, j, STORE_OK);
}

static bool has_label(const char *labels, const char *label)
{
    char quoted[STORE_LABEL_SIZE + 2];
    snprintf(quoted, sizeof quoted, "\"%s\"", label);
    return labels && strstr(labels, quoted);
}

static bool is_listed(const struct stored_job *j, const struct store_filter *f)
{
    bool any = true;
    for (unsigned i = 0; i < STORED_STATE_COUNT; i++) any &= !f->with_state[i];
    if (any ? j->state == STORED_RECEIVING : !f->with_state[j->state]) return false;
    if (f->task && (!j->task || strcmp(j->task, f->task) != 0)) return false;
    if (f->label && !has_label(j->labels, f->label)) return false;
    if (f->created_from_ms && j->created_ms < f->created_from_ms) return false;
    if (f->created_before_ms && j->created_ms >= f->created_before_ms) return false;
    return !f->below[0] || strcmp(j->id, f->below) < 0;
}

static int by_id_backwards(const void *a, const void *b)
{
    const struct stored_job *x = a, *y = b;
    return strcmp(y->id, x->id);
}

static enum store_status list_jobs(struct fake_store *s, struct store_call *c, struct fake_job *none)
{
    c->list = xcalloc(s->job_count + 1, sizeof *c->list);
    for (size_t i = 0; i < s->job_count; i++)
        if (is_listed(&s->jobs[i]->job, &c->filter)) stored_job_copy(&c->list[c->list_count++], &s->jobs[i]->job);
    qsort(c->list, c->list_count, sizeof *c->list, by_id_backwards);
    c->more = c->list_count > c->filter.limit;
    while (c->list_count > c->filter.limit) stored_job_release(&c->list[--c->list_count]);
    return STORE_OK;
}

static enum store_status read_ranges(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    size_t most = s->page_blocks ? s->page_blocks : STORE_RANGES_BLOCKS;
    c->blocks = xcalloc(most, sizeof *c->blocks);
    for (size_t i = 0; i < j->block_count; i++) {
        if (j->blocks[i].number <= c->block.number) continue;
        c->more = c->block_count == most;
        if (c->more) break;
        c->blocks[c->block_count++] = copy_block(&j->blocks[i], false);
    }
    return STORE_OK;
}

static enum store_status read_block(struct fake_store *s, struct store_call *c, struct fake_job *j)
{
    for (size_t i = 0; i < j->block_count; i++) {
        if (j->blocks[i].number != c->block.number) continue;
        block_release(&c->block);
        c->block = copy_block(&j->blocks[i], true);
        s->block_bytes_read += c->block.lines.len;
        return STORE_OK;
    }
    return STORE_NOT_FOUND;
}

/* No test needs the figures of this store. */
static enum store_status no_stats(struct fake_store *s, struct store_call *c, struct fake_job *none)
{
    return STORE_OK;
}

/* No test needs notices of this store. */
static enum store_status no_notice(struct fake_store *s, struct store_call *c, struct fake_job *none)
{
    return STORE_NOT_FOUND;
}

static const struct {
    enum store_status (*act)(struct fake_store *s, struct store_call *c, struct fake_job *j);
    bool needs_job;
} acts[] = {
    [STORE_ADD_JOB] = {add_job, false},
    [STORE_ADD_BLOCK] = {add_block, true},
    [STORE_ACCEPT] = {accept_job, true},
    [STORE_CLAIM] = {claim, false},
    [STORE_RENEW] = {renew, true},
    [STORE_HAND_BACK] = {hand_back, true},
    [STORE_END] = {end, true},
    [STORE_WANT_CANCEL] = {want_cancel, true},
    [STORE_CHANGE] = {change, true},
    [STORE_REDRIVE] = {redrive, true},
    [STORE_REMOVE] = {remove_ended, true},
    [STORE_DISCARD] = {discard, true},
    [STORE_SWEEP] = {sweep, false},
    [STORE_TAKE_NOTICE] = {no_notice, false},
    [STORE_DELAY_NOTICE] = {no_notice, false},
    [STORE_REMOVE_NOTICE] = {no_notice, false},
    [STORE_READ_JOB] = {read_job, true},
    [STORE_LIST_JOBS] = {list_jobs, false},
    [STORE_READ_RANGES] = {read_ranges, true},
    [STORE_READ_BLOCK] = {read_block, true},
    [STORE_READ_STATS] = {no_stats, false},
};
static_assert(ARRAY_SIZE(acts) == STORE_OP_COUNT, "an act for each operation");

enum store_status fake_store_act(struct fake_store *s, struct store_call *c)
{
    struct fake_job *j = fake_store_find(s, c->job.id);
    return acts[c->op].needs_job && !j ? STORE_NOT_FOUND : acts[c->op].act(s, c, j);
}
