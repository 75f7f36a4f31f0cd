/* The calls about blocks, and the removal of blocks in small steps. */
#include <inttypes.h>

#include "common/base/limits.h"
#include "coordinator/postgres/postgres_internal.h"

static struct postgres_query begin_insert(struct postgres_db *d, const struct stored_job *j, enum block_kind kind)
{
    if (kind == BLOCK_ITEMS) {
        struct postgres_query q = postgres_query(d, PG_ADD_ITEMS);
        postgres_bind_text(&q, j->id);
        postgres_bind_int(&q, (int64_t)j->fence);
        return q;
    }
    bool has_answers = kind == BLOCK_VALUES || kind == BLOCK_ERRORS;
    struct postgres_query q = postgres_query(d, has_answers ? PG_ADD_ANSWERS : PG_ADD_SENT);
    if (has_answers)
        postgres_bind_progress(&q, j);
    else
        postgres_bind_lease(&q, j);
    return q;
}

/* For a call that may have been run before: returns the number of the block that the earlier run added, or 0 if there
 * is no such block. */
static uint64_t find_added(struct postgres_db *d, const struct store_call *c)
{
    struct postgres_query q = postgres_query(d, PG_FIND_BLOCK);
    postgres_bind_lease(&q, &c->job);
    postgres_bind_text(&q, block_kind_name(c->block.kind));
    postgres_bind_bytes(&q, &d->ranges);
    postgres_bind_int(&q, (int64_t)c->after);
    uint64_t number = postgres_run(&q) ? (uint64_t)postgres_int(&q, 0, 0) : 0;
    postgres_end(&q);
    return number;
}

static uint64_t insert_block(struct postgres_db *d, const struct store_call *c)
{
    struct postgres_query q = begin_insert(d, &c->job, c->block.kind);
    postgres_bind_text(&q, block_kind_name(c->block.kind));
    postgres_bind_bytes(&q, &d->ranges);
    postgres_bind_bytes(&q, &d->lines);
    uint64_t number = postgres_run(&q) ? (uint64_t)postgres_int(&q, 0, 0) : 0;
    postgres_end(&q);
    return number;
}

enum store_status postgres_add_block(struct postgres_db *d, struct store_call *c)
{
    struct block *b = &c->block;
    if (b->lines.len > LIMIT_BLOCK_BYTES) BUG("a block of %zu bytes", b->lines.len);
    if (!block_lines_encode(&d->codec, &b->lines, &d->lines)) return store_lacks_memory(c);
    block_ranges_encode(b, &d->ranges);
    b->number = c->again ? find_added(d, c) : 0;
    if (b->number == 0) b->number = insert_block(d, c);
    block_bytes_clear(&d->ranges);
    block_bytes_clear(&d->lines);
    if (b->number > 0) return STORE_OK;
    return postgres_why_not(d, c, true, stored_state_name(b->kind == BLOCK_ITEMS ? STORED_RECEIVING : STORED_RUNNING));
}

/* Fills b from the row. */
static enum store_status read_block(const struct postgres_query *q, int row, struct store_call *c, struct block *b)
{
    const char *why;
    b->number = postgres_binary_int(q, row, 0);
    if (!block_kind_parse(PQgetvalue(q->result, row, 1), &b->kind))
        return store_block_damaged(c, b->number, "its kind is unknown");
    size_t len = (size_t)PQgetlength(q->result, row, 2);
    return block_ranges_decode(PQgetvalue(q->result, row, 2), len, b, &why) ? STORE_OK
                                                                            : store_block_damaged(c, b->number, why);
}

enum store_status postgres_read_ranges(struct postgres_db *d, struct store_call *c)
{
    enum store_status status = STORE_OK;
    size_t ranges = 0;
    struct postgres_query q = postgres_query(d, PG_READ_RANGES);
    postgres_bind_text(&q, c->job.id);
    postgres_bind_int(&q, (int64_t)c->block.number);
    postgres_bind_int(&q, STORE_RANGES_BLOCKS + 1);
    c->blocks = xcalloc(STORE_RANGES_BLOCKS, sizeof *c->blocks);
    bool is_there = postgres_run(&q);
    /* For a job without blocks, the result is one row in which the columns of the block are NULL. */
    int rows = is_there && !PQgetisnull(q.result, 0, 0) ? postgres_rows(&q) : 0;
    for (int i = 0; i < rows && status == STORE_OK; i++) {
        c->more = c->block_count == STORE_RANGES_BLOCKS || ranges >= STORE_RANGES_MAX;
        if (c->more) break;
        struct block *b = &c->blocks[c->block_count++];
        status = read_block(&q, i, c, b);
        ranges += b->range_count;
    }
    postgres_end(&q);
    return is_there ? status : store_no_job(c);
}

enum store_status postgres_read_block(struct postgres_db *d, struct store_call *c)
{
    enum store_status status = STORE_OK;
    const char *why;
    buf_clear(&c->block.lines);
    struct postgres_query q = postgres_query(d, PG_READ_LINES);
    postgres_bind_int(&q, (int64_t)c->block.number);
    postgres_bind_text(&q, c->job.id);
    if (postgres_run(&q)) {
        enum block_decoded decoded = block_lines_decode(&d->codec, PQgetvalue(q.result, 0, 0),
                                                        (size_t)PQgetlength(q.result, 0, 0), &c->block.lines, &why);
        if (decoded == BLOCK_DAMAGED) status = store_block_damaged(c, c->block.number, why);
        if (decoded == BLOCK_NO_MEMORY) status = store_lacks_memory(c);
    } else
        status = store_refuse(c, STORE_NOT_FOUND, "job %s has no block %" PRIu64, c->job.id, c->block.number);
    postgres_end(&q);
    return status;
}

/* Each statement below is its own transaction. */

bool postgres_tidy(struct postgres_db *d)
{
    postgres_forgive(d);
    struct postgres_query q = postgres_query(d, PG_TIDY);
    bool more = postgres_run(&q);
    postgres_end(&q);
    return more;
}

void postgres_beat(struct postgres_db *d)
{
    postgres_forgive(d);
    struct postgres_query q = postgres_query(d, PG_REGISTER);
    postgres_bind_text(&q, d->owner);
    postgres_bind_text(&q, d->name);
    postgres_run(&q);
    postgres_end(&q);
    q = postgres_query(d, PG_DROP_UPLOADS);
    postgres_run(&q);
    postgres_end(&q);
}
