/*
 * The line protocol with ids ("ids": true in task.json). An item is written as {"id":N,"item":...}; its answer is
 * {"id":N,"value":...} or {"id":N,"error":{...}}. With the ids, surplus and missing lines are recognised. The items of
 * a process have the ids 1, 2, 3 and so on. A pure module.
 */
#ifndef FANTAIL_WORKER_PROCESS_NUMBERED_H
#define FANTAIL_WORKER_PROCESS_NUMBERED_H

#include "common/base/base.h"
#include "common/base/buf.h"

/* Appends the items, given as whole lines, in the form with ids. */
void numbered_add_items(struct buf *b, const char *items, size_t len, uint64_t first_id);
/* The bytes before and after a long item. The item itself is not copied. */
#define NUMBERED_AFTER "}\n"
void numbered_add_before(struct buf *b, uint64_t id);
/* Returns how many bytes of the line are the item itself. The line ends in a newline, perhaps with a CR before it. */
size_t numbered_item_bytes(const char *line, size_t len);

/* Reads an id. Returns the position after it; NULL if there is no number, or if the number is too long for an id. */
const char *numbered_read_id(const char *at, const char *end, uint64_t *id);

enum numbered_kind {
    NUMBERED_STRAY, /* the line has no id, so it is not an answer */
    NUMBERED_VALUE,
    NUMBERED_ERROR,
    NUMBERED_BAD /* the line has an id, but is not an answer */
};

/* `body` is the value or the error object, borrowed from the line. */
struct numbered_line {
    enum numbered_kind kind;
    uint64_t id;
    const char *body;
    size_t body_len;
};

/* Looks at the start of a line. Returns true, with the id and the offset of the value, if the line begins with
 * {"id":N,"value": and has at least one more byte. */
MUST_CHECK bool numbered_find_value(const char *line, size_t len, uint64_t *id, size_t *offset);
/* Reads one line without its newline. Accepts the members in any order, with any white space that JSON allows. */
struct numbered_line numbered_parse(const char *line, size_t len);

#endif
