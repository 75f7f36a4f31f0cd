/*
 * Standard output, written in large pieces. Small values are copied into one buffer. Large values are written without
 * copying. The descriptor's flag O_NONBLOCK is not changed, because other programs may share it.
 */
#ifndef FANTAIL_CLI_MAP_OUTPUT_H
#define FANTAIL_CLI_MAP_OUTPUT_H

#include "common/base/base.h"

#define OUTPUT_BYTES  (256u << 10)
#define OUTPUT_DIRECT (32u << 10) /* a value of this size or more is not copied */

struct output {
    int fd;
    char *data; /* room for OUTPUT_BYTES */
    size_t len;
    bool closed; /* the reader is gone (EPIPE) */
    int error;   /* errno of any other failure to write; 0: none */
};

void output_init(struct output *o, int fd);
void output_release(struct output *o);
/* Writes the buffer. Returns early if a signal asks the program to end (interrupt.h). */
void output_flush(struct output *o);
/* output_line() calls this function if the line is long or does not fit into the buffer. */
void output_big_line(struct output *o, const char *data, size_t len);

/* Writes the bytes without a newline. */
void output_bytes(struct output *o, const char *data, size_t len);

static inline bool output_failed(const struct output *o)
{
    return o->closed || o->error;
}

/* Writes the line and a newline. The byte data[len] must be readable. */
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
