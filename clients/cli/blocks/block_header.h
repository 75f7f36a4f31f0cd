/*
 * The header of an input that is cut into blocks: its first lines or its first bytes. Each block begins with it. Pure.
 */
#ifndef FANTAIL_CLI_BLOCKS_BLOCK_HEADER_H
#define FANTAIL_CLI_BLOCKS_BLOCK_HEADER_H

#include "common/base/base.h"

#define BLOCK_HEADER_BYTES (1u << 20) /* the largest header */

/* How long the header is, in lines or in bytes. If both members are 0, the input has no header. */
struct block_header {
    size_t lines;
    size_t bytes; /* 0: the header has `lines` lines */
};

/* Reads the value of --header: ":" is one line, "2" two lines, "0" no header, and ".{4}" four bytes. Returns false if
 * the value has another form. */
MUST_CHECK bool block_header_read(struct block_header *h, const char *text);
static inline bool block_header_given(const struct block_header *h)
{
    return h->lines || h->bytes;
}

/* Returns the length of the header at the start of the data; 0: the data does not contain the whole header. */
size_t block_header_find(const struct block_header *h, const char *data, size_t len);

#endif
