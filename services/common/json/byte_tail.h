/* Keeps the last bytes of a stream, such as the output of a process. An error may quote these bytes. Pure. */
#ifndef FANTAIL_COMMON_JSON_BYTE_TAIL_H
#define FANTAIL_COMMON_JSON_BYTE_TAIL_H

#include "common/base/buf.h"

struct byte_tail {
    struct buf bytes; /* may have more than `most` bytes, so that bytes are moved less often */
    size_t most;
    uint64_t total; /* how many bytes have come */
};

/* `most`: how many bytes are kept. */
void byte_tail_init(struct byte_tail *t, size_t most);
void byte_tail_release(struct byte_tail *t);
void byte_tail_clear(struct byte_tail *t);
void byte_tail_add(struct byte_tail *t, const char *data, size_t len);
/* Returns the kept bytes, and sets *len. The bytes are borrowed until the next call. */
const char *byte_tail_get(const struct byte_tail *t, size_t *len);

#endif
