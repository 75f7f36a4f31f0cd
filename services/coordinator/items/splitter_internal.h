/* Private to splitter.c, split_lines.c and split_job.c. */
#ifndef FANTAIL_COORDINATOR_ITEMS_SPLITTER_INTERNAL_H
#define FANTAIL_COORDINATOR_ITEMS_SPLITTER_INTERNAL_H

#include "coordinator/items/splitter.h"

#define SPLIT_HANDED_OVER_BYTES ((size_t)64 * KIB)

/* How much of an unfinished line has been read. */
enum line_state {
    LINE_BLANK, /* only white space so far */
    LINE_MARK,  /* the first bytes may be the start of a byte order mark */
    LINE_VALUE,
    LINE_AFTER, /* the value is whole, and only white space may follow */
};

enum split_status split_lines_feed(struct splitter *s, const char *data, size_t len);
enum split_status split_lines_finish(struct splitter *s);

void split_job_init(struct splitter *s);
enum split_status split_job_feed(struct splitter *s, const char *data, size_t len);
enum split_status split_job_finish(struct splitter *s);

/* Appends valid JSON without its line breaks. Line breaks can only be between tokens. */
void append_in_one_line(struct buf *out, const char *json, size_t len);
/* Appends one item and a newline. `json` must be valid. */
void split_emit(struct splitter *s, const char *json, size_t len);
/* Appends the item in s->partial, which has no line breaks, and empties s->partial. If `items` is empty, an item of at
 * least SPLIT_HANDED_OVER_BYTES is not copied, because its memory is passed on. */
void split_emit_partial(struct splitter *s);
/* Appends to s->partial. Returns false when s->partial would have more than `limit` bytes. */
MUST_CHECK bool split_hold(struct splitter *s, const char *data, size_t len, size_t limit);

static inline bool split_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

#endif
