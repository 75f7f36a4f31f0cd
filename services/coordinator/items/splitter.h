/*
 * Splits a request body into items as its bytes arrive, in pieces of any size. Strict RFC 8259, never a tree: an item
 * is validated, copied and forgotten. A pure module: no I/O, no time.
 *
 * Every whole item is appended to `items` as one line of JSON, ended by '\n'. Its bytes are the client's, except that
 * white space around it is dropped and so are line breaks between its tokens. The caller takes lines from the front of
 * `items` whenever it likes and lowers `items_in_buf`. It limits memory by how much it feeds: a call appends only items
 * that end in it.
 * What is held besides is one unfinished item (LIMIT_ITEM_BYTES) and the options (LIMIT_OPTIONS_BYTES).
 *
 *     SPLIT_JOB      one JSON object; the elements of its "items" array are the items, its other members the options
 *     SPLIT_NDJSON   one JSON value per line; "\n" or "\r\n"; lines of white space only are skipped
 *     SPLIT_TEXT     each line is one string item; an empty line is the item ""; a '\r' before the '\n' is dropped
 *
 * It knows the name "items" and nothing else of a job: jobspec.h judges the options.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_SPLITTER_H
#define FANTAIL_COORDINATOR_ITEMS_SPLITTER_H

#include "common/base/buf.h"
#include "common/json/json_scan.h"

enum split_format { SPLIT_JOB, SPLIT_NDJSON, SPLIT_TEXT };

enum split_status {
    SPLIT_OK = 0,
    SPLIT_BAD,               /* not what the format asks for: 400 */
    SPLIT_ITEM_TOO_LARGE,    /* an item beyond LIMIT_ITEM_BYTES: 413 */
    SPLIT_OPTIONS_TOO_LARGE, /* a job object beyond LIMIT_OPTIONS_BYTES without its items: 413 */
};

struct split_error {
    enum split_status status;
    uint64_t offset;    /* of the offending byte in the whole body; its length when the body ends too early */
    char pointer[96];   /* JSON pointer: "/items/17", "/retry"; "" for the body itself. A client's name may be in it:
                         * escape it on the way out. Long ones are cut off */
    const char *phrase; /* static: "a comma or ] was expected" */
};

struct splitter {
    /* The results. */
    struct buf items;      /* whole items, a line each; the caller takes them */
    uint64_t items_in_buf; /* how many those are */
    uint64_t item_count;   /* how many there have been in all */
    bool items_seen;       /* items can come or came: "items" was met; always true without SPLIT_JOB */
    bool items_ended;      /* the "items" array is closed: item_count is final, though options may follow */
    struct buf options;    /* SPLIT_JOB: at any time one valid JSON object, of the members that are whole so far */
    struct split_error error;

    /* Private. */
    enum split_format format;
    unsigned max_depth;
    uint8_t state;           /* SPLIT_JOB: enum split_state */
    uint64_t offset;         /* of the first byte of the piece being fed */
    uint64_t partial_offset; /* lines: of the first byte of `partial` */
    struct json_scan scan;
    struct buf partial; /* the unfinished item, line, name or option value */
    size_t line_hint;   /* lines: how large a long one may be: the body, then as the last; 0: unknown */
    struct buf name;    /* SPLIT_JOB: what the name of the member being read means */
    struct buf names;   /* SPLIT_JOB: the names so far, each behind its length */
    unsigned name_count;
};

/* max_depth limits the nesting of one item, and of the options; 0 means LIMIT_JSON_DEPTH. */
void splitter_init(struct splitter *s, enum split_format format, unsigned max_depth);
/* The body will have so many bytes. Only saves copies. */
void splitter_expect(struct splitter *s, size_t body_bytes);
/* May be called on a zeroed or released splitter. */
void splitter_release(struct splitter *s);

/* Takes all of data, or fails: then s->error says why, items before the fault are in s->items, and every later call
 * fails in the same way. */
MUST_CHECK enum split_status splitter_feed(struct splitter *s, const char *data, size_t len);
/* The body is whole. May append a last item (a line without a newline). */
MUST_CHECK enum split_status splitter_finish(struct splitter *s);

/* How many bytes the first lines of data are: as many whole lines as fit in max_bytes, at most max_lines, but always
 * at least one if there is one. *lines tells how many. Counts newlines 16 bytes at a time; for cutting chunks. */
size_t lines_cut(const char *data, size_t len, uint64_t max_lines, size_t max_bytes, uint64_t *lines);

#endif
