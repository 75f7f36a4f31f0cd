/*
 * Standard output, written in large pieces. Small values are copied into one buffer, large ones go to the kernel from
 * where they are. The descriptor is left as it was found (blocking or not: it may be shared with other programs).
 */
#ifndef FANTAIL_CLI_MAP_OUTPUT_H
#define FANTAIL_CLI_MAP_OUTPUT_H

#include "common/base/base.h"

#define OUTPUT_BYTES  (256u << 10)
#define OUTPUT_DIRECT (32u << 10) /* from here on a value is not copied */

struct output {
    int fd;
    char *data; /* OUTPUT_BYTES */
    size_t len;
    bool closed; /* nobody reads any more (EPIPE) */
    int error;   /* any other failure of writing: errno */
};

void output_init(struct output *o, int fd);
void output_release(struct output *o);
/* Writes what is gathered. Also returns when a signal asks for the end; see interrupt.h. */
void output_flush(struct output *o);
/* Slow path of output_line(). */
void output_big_line(struct output *o, const char *data, size_t len);

static inline bool output_failed(const struct output *o)
{
    return o->closed || o->error;
}

/* data[len] is readable: lines are taken out of larger texts. */
static inline void output_line(struct output *o, const char *data, size_t len)
{
    if (len >= OUTPUT_DIRECT || o->len + len + 1 > OUTPUT_BYTES) {
        output_big_line(o, data, len);
        return;
    }
    memcpy(o->data + o->len, data, len);
    o->data[o->len + len] = '\n';
    o->len += len + 1;
}

#endif
