/*
 * The interface through which a reader gets the answers of a job. answer_buffer.h and error_log.h implement the
 * interface. In both of them, reading an answer removes it, so only one reader may use the source.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ANSWER_SOURCE_H
#define FANTAIL_COORDINATOR_ANSWERS_ANSWER_SOURCE_H

#include "common/base/base.h"

/* The answer lines of items first .. first + n - 1. */
struct answer_run {
    uint64_t first;
    size_t n;
    const char *bytes; /* borrowed until the next call on the same source */
    size_t len;
    bool repeated; /* `bytes` is one line, which is the answer of each of the n items */
};

struct answer_source_ops {
    /* Returns true and sets *run to the next run. Returns false when there is no run yet, or when the run cannot be
     * read (then *failed is true). */
    bool (*peek)(void *source, struct answer_run *run, bool *failed);
    /* Call it when the reader has read the first n items of the run that peek() returned last. The lines of these items
     * have len bytes in all; `len` is ignored for a repeated run. */
    void (*consume)(void *source, size_t n, size_t len);
    /* Returns the size of the unread answers in bytes, including their bookkeeping. */
    uint64_t (*unread_bytes)(const void *source);
};

/* A handle that borrows the source. The handle may be copied freely. A zeroed handle means that there is no source. */
struct answer_source {
    const struct answer_source_ops *ops;
    void *source;
};

static inline bool answer_source_peek(const struct answer_source *s, struct answer_run *run, bool *failed)
{
    *failed = false;
    return s->ops->peek(s->source, run, failed);
}

static inline void answer_source_consume(const struct answer_source *s, size_t n, size_t len)
{
    s->ops->consume(s->source, n, len);
}

static inline uint64_t answer_source_unread_bytes(const struct answer_source *s)
{
    return s->ops->unread_bytes(s->source);
}

#endif
