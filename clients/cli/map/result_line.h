/* One line of a job's NDJSON answer, read in place. Pure. */
#ifndef FANTAIL_CLI_MAP_RESULT_LINE_H
#define FANTAIL_CLI_MAP_RESULT_LINE_H

#include "common/json/json_walk.h"

enum result_kind {
    RESULT_VALUE, /* the value of an item; with reduce, the value of the job */
    RESULT_ERROR,
    RESULT_END,
    RESULT_WAITING,
    RESULT_OTHER, /* progress, heartbeat, and types that later versions may add */
    RESULT_BAD    /* no coordinator sends this line */
};

struct result_line {
    enum result_kind kind;
    bool has_index;
    uint64_t index;   /* VALUE, ERROR: index of the item in its job */
    uint64_t count;   /* ERROR: how many consecutive items have this error */
    const char *body; /* VALUE: the value; ERROR: the error object; WAITING: the reason; END: the status, as text */
    size_t len;
    uint64_t total, failed; /* END: the counts */
    struct json_slice why;  /* END: the job's reason, a JSON string; empty: none */
    struct json_slice hint; /* END: what the user may have meant, a JSON string; empty: none */
    uint64_t processes;     /* WAITING: how many processes are starting */
    bool draining;          /* END: the job ended because its coordinator drains */
};

/* RESULT_CUT_*: the item had no answer when its job was cancelled. RESULT_CUT_UNSENT: the item was not sent to a
 * worker. RESULT_CUT_SENT: the item was sent to a worker, so it may have run. */
enum result_cut { RESULT_NOT_CUT, RESULT_CUT_UNSENT, RESULT_CUT_SENT };
/* Returns whether the line is the error of an item that had no answer when its job was cancelled. For such a line, also
 * returns whether the item may have run. */
enum result_cut result_line_cut(const struct result_line *r);

/* Reads any line. `len` does not count the newline. */
struct result_line result_line_read_slowly(const char *line, size_t len);

/* Reads a line of exactly the form {"type":"result","index":N,"value":V}, which nearly all lines have. Returns false if
 * the line has another form. */
static inline bool result_line_read_value(const char *line, size_t len, uint64_t *index, struct json_slice *value)
{
    static const char head[] = "{\"type\":\"result\",\"index\":", middle[] = ",\"value\":";
    const size_t head_len = sizeof(head) - 1, middle_len = sizeof(middle) - 1;
    if (len < head_len + middle_len + 2 || memcmp(line, head, head_len) != 0) return false;
    const char *at = line + head_len, *end = line + len - 1;
    uint64_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++) n = n * 10 + (uint64_t)(*at - '0');
    if (end - at <= (ptrdiff_t)middle_len || memcmp(at, middle, middle_len) != 0 || *end != '}') return false;
    at += middle_len;
    *index = n;
    *value = (struct json_slice){at, (size_t)(end - at)};
    return true;
}

/* Reads any line. This function is fast if the line has the usual form. */
static inline struct result_line result_line_read(const char *line, size_t len)
{
    uint64_t index;
    struct json_slice value;
    if (!result_line_read_value(line, len, &index, &value)) return result_line_read_slowly(line, len);
    return (struct result_line){
        .kind = RESULT_VALUE, .has_index = true, .index = index, .body = value.data, .len = value.len};
}

#endif
