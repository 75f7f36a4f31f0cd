/* Many readers of stored results: only a few blocks are read at a time. */
#include "common/base/limits.h"
#include "common/base/memory_room.h"
#include "unit/coordinator/results/results_harness.h"

/* The tests below have many readers of a job with one block. Each reader needs this block. */
enum { READERS = 20 };

static void start_readers(struct desk *d, struct http_exchange *x)
{
    struct fake_job *j = add_job(d, STORED_SUCCEEDED, 1000);
    fake_store_add_lines(d->store, j, BLOCK_VALUES, 0, 1000, VALUE);
    for (unsigned i = 0; i < READERS; i++) {
        x[i] = (struct http_exchange){.id = ID};
        results_reader_handle(&x[i], &d->watches);
    }
    fake_store_run(d->store);
    for (unsigned i = 0; i < READERS; i++) exchange_pull(&x[i], 4096);
}

/* Reads the answer of each reader to its end. */
static void finish_readers(struct desk *d, struct http_exchange *x)
{
    for (unsigned i = 0; i < READERS; i++) {
        if (x[i].closed) continue;
        for (unsigned turn = 0; !settle_one(d, &x[i], 4096); turn++) cr_assert_lt(turn, 100, "reader %u hangs", i);
        cr_assert(strstr(buf_cstr(&x[i].answer), "{\"type\":\"result\",\"index\":999,\"value\":999}\n"));
        exchange_close(&x[i], HTTP_CLOSED_DONE);
    }
    cr_assert_eq(d->watches.gate.open, 0);
    cr_assert_eq(d->watches.gate.held_bytes, 0);
    cr_assert_eq(d->watches.gate.queue.n, 0);
}

Test(results_gate, many_clients_read_a_few_blocks_at_a_time)
{
    struct desk d;
    struct http_exchange x[READERS];
    desk_init(&d);
    d.x.closed = true;
    start_readers(&d, x);
    cr_assert_gt(d.watches.gate.open, 0);
    cr_assert_leq(d.watches.gate.open, 8);
    cr_assert_eq(d.watches.gate.open + d.watches.gate.queue.n, READERS);
    exchange_close(&x[0], HTTP_CLOSED_HANG_UP);           /* this reader is reading its block */
    exchange_close(&x[READERS - 1], HTTP_CLOSED_HANG_UP); /* this reader waits */
    cr_assert(fake_store_step(d.store));
    unsigned woken = 0;
    for (unsigned i = 8; i < READERS - 1; i++) woken += x[i].wakes > 0;
    cr_assert_geq(woken, 1, "the next reader goes on");
    finish_readers(&d, x);
    desk_over(&d);
}

Test(results_gate, clients_that_do_not_read_give_their_blocks_up_for_those_who_wait)
{
    struct desk d;
    struct http_exchange x[READERS];
    desk_init(&d);
    d.x.closed = true;
    start_readers(&d, x);
    struct read_gate *gate = &d.watches.gate;
    cr_assert(fake_store_step(d.store)); /* the first reader has the block */
    struct results_reader *first = x[0].data, *last = x[READERS - 1].data;
    char room[100];
    cr_assert_gt(x[0].ops->pull(&x[0], room, sizeof room), 0);
    cr_assert_gt(first->cache.bytes, 0);
    cr_assert_eq(gate->held_bytes, first->cache.bytes);
    gate->held_bytes += 256 * MIB; /* as if other readers held blocks */
    fake_store_run(d.store);
    cr_assert_eq(gate->open, 0);
    cr_assert(last->place.is_queued);
    first->watch.ops->tick(first, now_ns() + NS_PER_S);
    cr_assert_eq(first->cache.bytes, 0);
    last->watch.ops->tick(last, now_ns());
    cr_assert(last->place.is_queued, "there is still no room");
    gate->held_bytes -= 256 * MIB;
    unsigned wakes = x[READERS - 1].wakes;
    last->watch.ops->tick(last, now_ns());
    cr_assert_gt(x[READERS - 1].wakes, wakes);
    finish_readers(&d, x);
    desk_over(&d);
}

static bool refuse(size_t bytes)
{
    return false;
}

Test(results_gate, without_memory_no_block_is_read_until_there_is_some)
{
    struct desk d;
    struct http_exchange x[READERS];
    bool (*probe)(size_t bytes) = memory_probe;
    desk_init(&d);
    d.x.closed = true;
    memory_probe = refuse;
    start_readers(&d, x);
    fake_store_run(d.store);
    cr_assert_eq(d.store->calls[STORE_READ_BLOCK], 0);
    cr_assert_eq(d.watches.gate.open, 0);
    memory_probe = probe;
    for (unsigned i = 0; i < READERS; i++) {
        struct results_reader *r = x[i].data;
        r->watch.ops->tick(r, now_ns() + NS_PER_S);
    }
    finish_readers(&d, x);
    desk_over(&d);
}
