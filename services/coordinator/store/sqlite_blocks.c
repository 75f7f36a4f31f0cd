/* The calls about blocks. */
#include <inttypes.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

/* Runs `sql`, which adds the block, or finds the block that an earlier run of this call added. Returns the number of
 * the block, or 0 on failure. */
static uint64_t place_block(struct sqlite_db *d, const struct store_call *c, enum stored_state state, enum sql sql)
{
    uint64_t number = 0;
    struct sqlite_query q = sqlite_query(d, sql);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_int(&q, 2, (int64_t)c->job.fence);
    sqlite_bind_text(&q, 3, stored_state_name(state));
    sqlite_bind_text(&q, 4, block_kind_name(c->block.kind));
    sqlite_bind_bytes(&q, 5, &d->ranges);
    if (sql == SQL_ADD_BLOCK)
        sqlite_bind_bytes(&q, 6, &d->lines);
    else
        sqlite_bind_int(&q, 6, (int64_t)c->after);
    if (sqlite_row(&q)) number = (uint64_t)sqlite3_column_int64(q.st, 0);
    sqlite_end(&q);
    return number;
}

static void set_progress(struct sqlite_db *d, const struct stored_job *j)
{
    struct sqlite_query q = sqlite_query(d, SQL_SET_PROGRESS);
    sqlite_bind_progress(&q, j);
    while (sqlite_row(&q)) continue;
    sqlite_end(&q);
}

enum store_status sqlite_add_block(struct sqlite_db *d, struct store_call *c)
{
    struct block *b = &c->block;
    if (b->lines.len > LIMIT_BLOCK_BYTES) BUG("a block of %zu bytes", b->lines.len);
    enum stored_state state = b->kind == BLOCK_ITEMS ? STORED_RECEIVING : STORED_RUNNING;
    enum store_status status = STORE_OK;
    if (!block_lines_encode(&d->codec, &b->lines, &d->lines)) return store_lacks_memory(c);
    block_ranges_encode(b, &d->ranges);
    b->number = c->again ? place_block(d, c, state, SQL_FIND_BLOCK) : 0;
    if (b->number != 0 || sqlite_has_room(d, c, d->ranges.len + d->lines.len)) {
        if (b->number == 0) b->number = place_block(d, c, state, SQL_ADD_BLOCK);
        if (b->number == 0)
            status = sqlite_why_not(d, c, true, stored_state_name(state));
        else if (c->op == STORE_ADD_BLOCK && (b->kind == BLOCK_VALUES || b->kind == BLOCK_ERRORS))
            set_progress(d, &c->job); /* END sets the counts itself */
    } else
        status = STORE_FULL;
    block_bytes_clear(&d->ranges);
    block_bytes_clear(&d->lines);
    return status;
}

/* Fills b from the row. */
static enum store_status read_block(struct sqlite_query *q, struct store_call *c, struct block *b)
{
    const void *bytes;
    size_t len;
    const char *why, *kind = (const char *)sqlite3_column_text(q->st, 1);
    b->number = (uint64_t)sqlite3_column_int64(q->st, 0);
    if (!kind || !block_kind_parse(kind, &b->kind)) return store_block_damaged(c, b->number, "its kind is unknown");
    sqlite_column_block(q, 2, &bytes, &len);
    return block_ranges_decode(bytes, len, b, &why) ? STORE_OK : store_block_damaged(c, b->number, why);
}

enum store_status sqlite_read_ranges(struct sqlite_db *d, struct store_call *c)
{
    enum store_status status = STORE_OK;
    size_t ranges = 0;
    c->blocks = xcalloc(STORE_RANGES_BLOCKS, sizeof *c->blocks);
    struct sqlite_query q = sqlite_query(d, SQL_READ_RANGES);
    sqlite_bind_text(&q, 1, c->job.id);
    sqlite_bind_int(&q, 2, (int64_t)c->block.number);
    sqlite_bind_int(&q, 3, STORE_RANGES_BLOCKS + 1);
    while (status == STORE_OK && sqlite_row(&q)) {
        c->more = c->block_count == STORE_RANGES_BLOCKS || ranges >= STORE_RANGES_MAX;
        if (c->more) break;
        struct block *b = &c->blocks[c->block_count++];
        status = read_block(&q, c, b);
        ranges += b->range_count;
    }
    sqlite_end(&q);
    if (c->block_count > 0) return status;
    /* No block was found: the job has no further blocks, or there is no job. */
    struct sqlite_query job = sqlite_query(d, SQL_READ_JOB);
    sqlite_bind_text(&job, 1, c->job.id);
    bool is_there = sqlite_row(&job);
    sqlite_end(&job);
    return is_there ? STORE_OK : store_no_job(c);
}

/* Reads one block with its lines. Returns false if the lines are too long for a small job, if the block is damaged, or
 * if there is too little memory. The calls that read blocks one by one report the fault. */
static bool read_small_block(struct sqlite_query *q, struct store_call *c, struct block *b)
{
    const void *bytes;
    size_t len;
    const char *why;
    if (read_block(q, c, b) != STORE_OK || sqlite3_column_type(q->st, 3) == SQLITE_NULL) return false;
    sqlite_column_block(q, 3, &bytes, &len);
    return block_lines_decode(&q->d->codec, bytes, len, &b->lines, &why) == BLOCK_DECODED;
}

void sqlite_read_whole(struct sqlite_db *d, int64_t seq, struct store_call *c)
{
    size_t bytes = 0;
    bool is_small = true;
    if (c->found.items > STORE_WHOLE_BYTES) return; /* each item has a line of two bytes or more */
    c->blocks = xcalloc(STORE_WHOLE_BLOCKS, sizeof *c->blocks);
    struct sqlite_query q = sqlite_query(d, SQL_READ_WHOLE);
    sqlite_bind_int(&q, 1, seq);
    sqlite_bind_int(&q, 2, STORE_WHOLE_BYTES);
    sqlite_bind_int(&q, 3, STORE_WHOLE_BLOCKS + 1);
    while (is_small && sqlite_row(&q)) {
        is_small = c->block_count < STORE_WHOLE_BLOCKS;
        if (!is_small) break;
        struct block *b = &c->blocks[c->block_count++];
        is_small = read_small_block(&q, c, b);
        bytes += b->lines.len;
        is_small = is_small && bytes <= STORE_WHOLE_BYTES;
    }
    c->whole = sqlite_end(&q) && is_small;
    if (c->whole) return;
    store_call_drop_blocks(c);
    c->error[0] = '\0';
}

enum store_status sqlite_read_block(struct sqlite_db *d, struct store_call *c)
{
    enum store_status status = STORE_OK;
    buf_clear(&c->block.lines);
    struct sqlite_query q = sqlite_query(d, SQL_READ_LINES);
    sqlite_bind_int(&q, 1, (int64_t)c->block.number);
    sqlite_bind_text(&q, 2, c->job.id);
    if (sqlite_row(&q)) {
        const void *bytes;
        size_t len;
        const char *why;
        sqlite_column_block(&q, 0, &bytes, &len);
        enum block_decoded decoded = block_lines_decode(&d->codec, bytes, len, &c->block.lines, &why);
        if (decoded == BLOCK_DAMAGED) status = store_block_damaged(c, c->block.number, why);
        if (decoded == BLOCK_NO_MEMORY) status = store_lacks_memory(c);
    } else
        status = store_refuse(c, STORE_NOT_FOUND, "job %s has no block %" PRIu64, c->job.id, c->block.number);
    sqlite_end(&q);
    return status;
}
