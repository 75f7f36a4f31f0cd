/*
 * The header line of a TYPE_CHUNK body: {"common":...,"item_timeout_s":...,"pipeline":["a","b"]}. Each member is
 * optional. A pure module.
 */
#ifndef FANTAIL_WORKER_CHUNK_CHUNK_HEADER_H
#define FANTAIL_WORKER_CHUNK_CHUNK_HEADER_H

#include "common/base/base.h"
#include "common/base/buf.h"
#include "protocol/protocol.h"
#include "protocol/value_scan.h"

struct chunk_header {
    const char *common; /* JSON text, borrowed from the line; NULL: none */
    size_t common_len;
    bool has_item_timeout;
    uint64_t item_timeout_ns; /* 0: none */
    char *task[PIPELINE_TASKS_MAX];
    unsigned tasks; /* 0: no pipeline */
};

/* Scans the common value of a long line while the line arrives. `line` has len bytes so far, without its newline. For
 * the first call, `scan` must be zeroed. */
void chunk_header_look(struct value_scan *scan, const char *line, size_t len);
/* Reads the header line. `scan` is NULL, or the scan that chunk_header_look() made of this line. On failure returns
 * false, with a sentence in err, and nothing has to be released. */
MUST_CHECK bool chunk_header_parse(struct chunk_header *h, struct value_scan *scan, const char *line, size_t len,
                                   char *err, size_t err_size);
void chunk_header_release(struct chunk_header *h);

#endif
