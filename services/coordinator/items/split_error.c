#include "coordinator/items/split_error.h"

enum split_status split_error_set(struct split_error *e, enum split_status status, uint64_t offset, const char *phrase)
{
    e->status = status;
    e->offset = offset;
    e->phrase = phrase;
    return status;
}

int split_error_describe(const struct split_error *e, struct buf *detail)
{
    buf_addf(detail, "%s at byte %llu, in %s", e->phrase, (unsigned long long)e->offset,
             e->pointer[0] ? e->pointer : "the body");
    if (e->hint) buf_addf(detail, "; %s", e->hint);
    return e->status == SPLIT_BAD ? 400 : 413;
}
