/* Functions for the programs of this folder. Each program that measures something prints one JSON object. */
#ifndef FANTAIL_BENCH_H
#define FANTAIL_BENCH_H

#include <errno.h>

#include "common/base/base.h"

static inline void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline long parse_count(const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);
    if (end == word || *end || n <= 0) {
        fprintf(stderr, "expected a number above 0, not %s\n", word);
        exit(2);
    }
    return n;
}

static inline int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the durations and prints their median, their 99th percentile and their number. */
static inline void print_latencies(uint64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, compare_u64);
    printf("{\"p50_us\":%.1f,\"p99_us\":%.1f,\"count\":%zu}\n", (double)ns[count / 2] / 1e3,
           (double)ns[count * 99 / 100] / 1e3, count);
}

static inline double seconds_since(uint64_t start_ns)
{
    return (double)(now_ns() - start_ns) / 1e9;
}

#endif
