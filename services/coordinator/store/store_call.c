#include <inttypes.h>
#include <stdarg.h>

#include "coordinator/store/store_metrics.h"

static const char *const state_names[] = {
    [STORED_RECEIVING] = "receiving", [STORED_PENDING] = "pending",     [STORED_RUNNING] = "running",
    [STORED_SUCCEEDED] = "succeeded", [STORED_PARTIAL] = "partial",     [STORED_FAILED] = "failed",
    [STORED_CANCELLED] = "cancelled", [STORED_TIMED_OUT] = "timed_out",
};
static_assert(ARRAY_SIZE(state_names) == STORED_STATE_COUNT, "one name per state");

const char *stored_state_name(enum stored_state state)
{
    return state_names[state];
}

bool stored_state_parse(const char *name, enum stored_state *state)
{
    for (unsigned i = 0; i < STORED_STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) != 0) continue;
        *state = (enum stored_state)i;
        return true;
    }
    return false;
}

static const char *const kind_names[] = {[BLOCK_ITEMS] = "items",
                                         [BLOCK_VALUES] = "values",
                                         [BLOCK_ERRORS] = "errors",
                                         [BLOCK_SENT] = "sent",
                                         [BLOCK_UNSENT] = "unsent"};
static_assert(ARRAY_SIZE(kind_names) == BLOCK_KIND_COUNT, "one name per kind");

const char *block_kind_name(enum block_kind kind)
{
    return kind_names[kind];
}

bool block_kind_parse(const char *name, enum block_kind *kind)
{
    for (unsigned i = 0; i < BLOCK_KIND_COUNT; i++) {
        if (strcmp(name, kind_names[i]) != 0) continue;
        *kind = (enum block_kind)i;
        return true;
    }
    return false;
}

static char *copy_text(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

void stored_job_copy(struct stored_job *to, const struct stored_job *from)
{
    *to = *from;
    to->task = copy_text(from->task);
    to->options = copy_text(from->options);
    to->labels = copy_text(from->labels);
    to->changes = copy_text(from->changes);
    to->notify = copy_text(from->notify);
    to->delivery.failure = copy_text(from->delivery.failure);
    to->errors = copy_text(from->errors);
    to->reason = copy_text(from->reason);
    to->result = copy_text(from->result);
    to->key = copy_text(from->key);
    to->key_digest = copy_text(from->key_digest);
}

void stored_job_release(struct stored_job *j)
{
    free(j->task);
    free(j->options);
    free(j->labels);
    free(j->changes);
    free(j->notify);
    free(j->delivery.failure);
    free(j->errors);
    free(j->reason);
    free(j->result);
    free(j->key);
    free(j->key_digest);
    *j = (struct stored_job){0};
}

void stored_notice_release(struct stored_notice *n)
{
    free(n->url);
    *n = (struct stored_notice){0};
}

void block_release(struct block *b)
{
    free(b->ranges);
    buf_release(&b->lines);
    *b = (struct block){0};
}

struct store_call *store_call_new(enum store_op op, void (*done)(struct store_call *call), void *data)
{
    struct store_call *c = xcalloc(1, sizeof *c);
    c->op = op;
    c->done = done;
    c->data = data;
    return c;
}

void store_call_drop_blocks(struct store_call *c)
{
    for (size_t i = 0; i < c->block_count; i++) block_release(&c->blocks[i]);
    free(c->blocks);
    c->blocks = NULL;
    c->block_count = 0;
    c->whole = false;
}

void store_call_clear(struct store_call *c)
{
    for (size_t i = 0; i < c->list_count; i++) stored_job_release(&c->list[i]);
    free(c->list);
    store_call_drop_blocks(c);
    stored_job_release(&c->found);
    stored_notice_release(&c->notice);
    c->list = NULL;
    c->list_count = 0;
    c->status = STORE_OK;
    c->error[0] = '\0';
    c->more = c->wanted_elsewhere = false;
    c->now_ms = 0;
    c->stats = (struct store_stats){0};
    c->is_first_of_commit = false;
}

void store_call_free(struct store_call *c)
{
    if (!c) return;
    store_call_clear(c);
    stored_job_release(&c->job);
    block_release(&c->block);
    free(c->serves);
    free(c->opens);
    free(c);
}

enum store_status store_refuse(struct store_call *call, enum store_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(call->error, sizeof call->error, fmt, args);
    va_end(args);
    return status;
}

enum store_status store_lacks_memory(struct store_call *call)
{
    return store_refuse(call, STORE_AWAY,
                        "the coordinator has reached its memory limit, and a block of job %s needs more", call->job.id);
}

enum store_status store_block_damaged(struct store_call *call, uint64_t number, const char *why)
{
    return store_refuse(call, STORE_BROKEN, "block %" PRIu64 " of job %s is damaged: %s", number, call->job.id, why);
}

enum store_status store_no_job(struct store_call *call)
{
    return store_refuse(call, STORE_NOT_FOUND, "there is no job %s", call->job.id);
}

void store_finish(struct store *s, struct store_call *call)
{
    if (s->metrics) store_metrics_count(s->metrics, call);
    call->done(call);
}
