/*
 * The numbered form of the line protocol ("ids": true in task.json): an item goes out as {"id":N,"item":...} and its
 * answer comes back as {"id":N,"value":...} or {"id":N,"error":{...}}, so that a line too many or too few is seen for
 * what it is. Ids count the items of one process from 1. A pure module.
 */
#ifndef FANTAIL_WORKER_PROCESS_NUMBERED_H
#define FANTAIL_WORKER_PROCESS_NUMBERED_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* Appends the items (whole lines) in the form the process gets them. */
void numbered_add_items(struct buf *b, const char *items, size_t len, uint64_t first_id);

enum numbered_kind {
    NUMBERED_STRAY, /* it has no id: no answer */
    NUMBERED_VALUE,
    NUMBERED_ERROR,
    NUMBERED_BAD /* it has an id, but is no answer */
};

/* body: the value or the error object, borrowed from the line. */
struct numbered_line {
    enum numbered_kind kind;
    uint64_t id;
    const char *body;
    size_t body_len;
};

/* Reads one line, without its newline, of any legal spelling. */
struct numbered_line numbered_parse(const char *line, size_t len);

#endif
