#include "coordinator/answers/answer_buffer.h"

static bool spill_write(void *ctx, uint64_t offset, const char *bytes, size_t len)
{
    return spill_file_write(ctx, offset, bytes, len);
}

static void spill_empty(void *ctx)
{
    spill_file_empty(ctx);
}

static char *spill_map(void *ctx, uint64_t offset, size_t len)
{
    return spill_file_map(ctx, offset, len);
}

static void spill_unmap(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    spill_file_unmap(offset, bytes, len);
}

static bool spill_read(void *ctx, uint64_t offset, char *bytes, size_t len)
{
    return spill_file_read(ctx, offset, bytes, len);
}

void answer_buffer_init(struct answer_buffer *b, enum collector_order order, size_t memory_cap,
                        struct memory_budget *shared, struct spill_dir *dir)
{
    spill_file_init(&b->spill, dir);
    b->collector = collector_new(&(struct collector_config){.order = order,
                                                            .memory_cap = memory_cap,
                                                            .shared = shared,
                                                            .spill = {.write = spill_write,
                                                                      .read = spill_read,
                                                                      .map = spill_map,
                                                                      .unmap = spill_unmap,
                                                                      .empty = spill_empty,
                                                                      .ctx = &b->spill}});
}

void answer_buffer_release(struct answer_buffer *b, struct collector **buried)
{
    collector_bury(buried, b->collector);
    b->collector = NULL;
    spill_file_release(&b->spill);
}

bool answer_buffer_spills(const struct answer_buffer *b)
{
    return b->collector && collector_spills(b->collector);
}

bool answer_buffer_step(struct answer_buffer *b)
{
    return collector_step(b->collector) != COLLECTOR_SPILL_FAILED;
}

static bool add(void *sink, uint64_t first, uint64_t n, const char *lines, size_t len)
{
    struct answer_buffer *b = sink;
    return collector_add(b->collector, first, n, lines, len) != COLLECTOR_SPILL_FAILED;
}

static bool take(void *sink, uint64_t index, struct buf *line)
{
    struct answer_buffer *b = sink;
    return collector_take(b->collector, index, 1, line) != COLLECTOR_SPILL_FAILED;
}

static bool add_repeated(void *sink, uint64_t first, uint64_t n, const char *line, size_t len)
{
    struct answer_buffer *b = sink;
    return collector_add_repeated(b->collector, first, n, line, len) != COLLECTOR_SPILL_FAILED;
}

static void explain(void *sink, char *out, size_t out_size)
{
    const struct answer_buffer *b = sink;
    snprintf(out, out_size, "the answers could not be stored in %s: %s", b->spill.dir->path, spill_file_why(&b->spill));
}

struct answer_sink answer_buffer_sink(struct answer_buffer *b)
{
    static const struct answer_sink_ops ops = {add, take, add_repeated, explain};
    return (struct answer_sink){&ops, b};
}

static bool peek(void *source, struct answer_run *run, bool *failed)
{
    struct answer_buffer *b = source;
    enum collector_status status;
    bool shown = collector_peek(b->collector, run, &status);
    *failed = status != COLLECTOR_OK;
    return shown;
}

static void consume(void *source, size_t n, size_t len)
{
    collector_consume(((struct answer_buffer *)source)->collector, n, len);
}

static uint64_t unread_bytes(const void *source)
{
    const struct collector *c = ((const struct answer_buffer *)source)->collector;
    return collector_memory_bytes(c) + collector_spilled_bytes(c);
}

struct answer_source answer_buffer_source(struct answer_buffer *b)
{
    static const struct answer_source_ops ops = {peek, consume, unread_bytes};
    return (struct answer_source){&ops, b};
}
