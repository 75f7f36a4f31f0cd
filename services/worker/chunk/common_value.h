/*
 * A value that all items of a chunk have in common: the job's common value, or the trace that the items belong to. The
 * value is stored as the control lines that a process reads before the items. Chunks and processes share the value by
 * reference. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_COMMON_VALUE_H
#define FANTAIL_WORKER_CHUNK_COMMON_VALUE_H

#include "common/base/base.h"

struct common_value {
    unsigned refs;
    size_t len;
    char lines[]; /* "#common {...}\n", or "#traceparent ...\n#tracestate ...\n" */
};

/* common_value_new() and common_value_from_lines() copy their input. The caller owns one reference. */
MUST_CHECK struct common_value *common_value_new(const char *json, size_t len);
MUST_CHECK struct common_value *common_value_from_lines(const char *lines, size_t len);
/* common_value_ref() and common_value_unref() accept NULL. */
struct common_value *common_value_ref(struct common_value *v);
void common_value_unref(struct common_value *v);
/* Two NULLs are equal. */
bool common_value_equal(const struct common_value *a, const struct common_value *b);

#endif
