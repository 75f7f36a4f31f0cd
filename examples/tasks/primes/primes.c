/* Counts the primes in {"start": a, "stop": b}, stop excluded, with a segmented sieve of the odd numbers. */
#include "fantail_task.h"

enum {
    SEGMENT = 1 << 15,    /* odd numbers in a segment; its sieve fits into the L1 cache */
    STRIDE = 2 * SEGMENT, /* odd and even numbers in a segment */
};

static const int64_t LARGEST = INT64_C(1000000000000);

/* The odd primes up to small_limit, which is at least the square root of the largest `stop` so far. */
static uint32_t *small;
static size_t small_count;
static int64_t small_limit;

static bool find_small_primes(int64_t limit)
{
    if (limit <= small_limit) return true;
    if (limit < 2 * small_limit) limit = 2 * small_limit; /* so that a slightly larger limit needs no new sieve */
    size_t size = (size_t)limit + 1;
    bool *composite = (bool *)calloc(size, sizeof *composite);
    uint32_t *primes = (uint32_t *)malloc((size / 2 + 1) * sizeof *primes);
    if (!composite || !primes) {
        free(composite);
        free(primes);
        return false;
    }
    small_count = 0;
    for (size_t n = 3; n < size; n += 2) {
        if (composite[n]) continue;
        primes[small_count++] = (uint32_t)n;
        for (size_t multiple = n * n; multiple < size; multiple += 2 * n) composite[multiple] = true;
    }
    free(composite);
    free(small);
    small = primes;
    small_limit = limit;
    return true;
}

/* Returns the number of odd primes that are in [start, start + STRIDE) and below stop. `start` is odd. */
static int64_t count_segment(int64_t start, int64_t stop)
{
    static bool composite[SEGMENT];
    int64_t odds = (stop - start + 1) / 2 < SEGMENT ? (stop - start + 1) / 2 : SEGMENT;
    memset(composite, 0, (size_t)odds);
    for (size_t i = 0; i < small_count; i++) {
        int64_t p = small[i], first = p * p;
        if (first >= start + 2 * odds) break;
        if (first < start) {
            first = (start + p - 1) / p * p;
            if (first % 2 == 0) first += p;
        }
        for (int64_t at = (first - start) / 2; at < odds; at += p) composite[at] = true;
    }
    int64_t count = 0;
    for (int64_t i = 0; i < odds; i++) count += !composite[i];
    return count;
}

/* Returns the number of primes from start to stop - 1, or -1 if there is not enough memory. */
static int64_t count_primes(int64_t start, int64_t stop)
{
    if (!find_small_primes((int64_t)sqrt((double)(stop > 0 ? stop : 0)) + 1)) return -1;
    int64_t count = start <= 2 && stop > 2; /* 2, the only even prime */
    if (start < 3) start = 3;
    for (start |= 1; start < stop; start += STRIDE) count += count_segment(start, stop);
    return count;
}

int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    int64_t start, stop;
    if (!fantail_get_member_integer(item, "start", &start) || !fantail_get_member_integer(item, "stop", &stop))
        return fantail_reply_error(reply, "an object with the integers start and stop was expected");
    if (stop > LARGEST) return fantail_reply_error(reply, "stop is above %lld", (long long)LARGEST);
    int64_t count = count_primes(start, stop);
    if (count < 0) return fantail_reply_error(reply, "out of memory");
    return fantail_reply_integer(reply, count);
}
