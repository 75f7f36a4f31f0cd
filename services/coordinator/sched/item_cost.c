#include <math.h>

#include "coordinator/sched/scheduler_internal.h"

/* When the sums of an estimate exceed this many items and 1 s of slot time, item_cost_add() halves the sums. So newer
 * items have more weight. */
#define ITEMS_REMEMBERED 1024

/*
 * Estimates the cost of an item from the slot time of whole chunks: slot time = fixed + items * marginal. A line of
 * this form is fitted by least squares to the chunks that were answered recently. The fixed part (a round trip, a
 * wake-up, waiting for a processor) is the same for one item and for a thousand items, so it must not count as cost of
 * the items. If all chunks have about the same size, the fit cannot separate the two parts. In that case, the mean is
 * used as the marginal cost, and larger chunks are tried.
 */
#define CHUNKS_REMEMBERED 64.0        /* at this many chunks, the sums of the fit are halved: newer chunks count more */
#define CHUNKS_NEEDED     4.0         /* the fit is used from this many chunks on */
#define SPREAD_NEEDED     0.04        /* least variance of the sizes for the fit, divided by the square of their mean */
#define MARGINAL_LEAST    (1.0 / 256) /* the marginal cost is at least this part of the mean */

void item_cost_add(struct sched_item_cost *c, double items, double ns)
{
    c->ns += ns;
    c->items += items;
    if (c->items > ITEMS_REMEMBERED && c->ns > (double)NS_PER_S) {
        c->ns /= 2;
        c->items /= 2;
    }
}

void item_cost_add_chunk(struct sched_item_cost *c, double items, double ns)
{
    if (c->chunks >= CHUNKS_REMEMBERED) {
        c->chunks /= 2;
        c->n /= 2;
        c->nn /= 2;
        c->y /= 2;
        c->ny /= 2;
    }
    c->chunks += 1;
    c->n += items;
    c->nn += items * items;
    c->y += ns;
    c->ny += items * ns;
}

double item_cost_mean_ns(const struct sched_item_cost *c)
{
    return c->items > 0 ? c->ns / c->items : 0;
}

static double variance(const struct sched_item_cost *c)
{
    double mean = c->n / c->chunks;
    return c->nn / c->chunks - mean * mean;
}

bool item_cost_is_sure(const struct sched_item_cost *c)
{
    if (c->chunks < CHUNKS_NEEDED) return false;
    double mean = c->n / c->chunks;
    return variance(c) >= SPREAD_NEEDED * mean * mean;
}

double item_cost_marginal_ns(const struct sched_item_cost *c)
{
    double mean_ns = item_cost_mean_ns(c);
    if (!item_cost_is_sure(c)) return mean_ns;
    double slope = (c->ny / c->chunks - c->n / c->chunks * c->y / c->chunks) / variance(c);
    double least = fmax((c->y / c->chunks - CHUNK_FIXED_MOST_NS) / (c->n / c->chunks), mean_ns * MARGINAL_LEAST);
    return fmin(fmax(slope, least), mean_ns);
}
