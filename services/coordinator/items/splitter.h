/*
 * Splits a request body into items as its bytes arrive, in pieces of any size. The splitter follows RFC 8259 strictly.
 * The splitter builds no tree: it checks an item and copies the bytes of the item. Pure: no I/O, no time.
 *
 * Every whole item is appended to `items` as one line of JSON that ends in '\n'. The line of a JSON item has the bytes
 * that the client sent, but without white space around the item and without line breaks between the tokens of the item.
 * Each byte is read only once, when it arrives. So the time that a call takes depends on the size of its piece, and not
 * on the size of the item. The caller may take lines from the front of `items` at any time, and must then lower
 * `items_in_buf`. The caller limits the memory by the size of the pieces: a call appends only the items that end in its
 * piece. Besides these items, the splitter holds one unfinished item (LIMIT_ITEM_BYTES) and the options
 * (LIMIT_OPTIONS_BYTES).
 *
 *     SPLIT_JOB      one JSON object: the elements of its "items" array are the items, the other members are options
 *     SPLIT_NDJSON   one JSON value per line, which ends in "\n" or "\r\n"; blank lines are skipped
 *     SPLIT_TEXT     each line is one string item; an empty line is the item ""; a '\r' before the '\n' is dropped
 *
 * The splitter knows only the member "items" of a job; jobspec.h reads the options. A body of lines may have its
 * options on the first line, as a JSON object (splitter_expect_options()).
 *
 * The body is UTF-8. A byte order mark at the start of the body is skipped. A byte order mark before a later line is an
 * error, and so is a NUL byte in a line of text. These two checks detect files in UTF-16 and files that were joined.
 * Without these two checks, files in UTF-16 and joined files would give wrong items.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_SPLITTER_H
#define FANTAIL_COORDINATOR_ITEMS_SPLITTER_H

#include "common/base/buf.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"
#include "coordinator/items/split_error.h"

enum split_format { SPLIT_JOB, SPLIT_NDJSON, SPLIT_TEXT };

#define LONG_OPTION_BYTES ((size_t)64 * KIB)

struct splitter {
    /* The results. */
    struct buf items;      /* whole items, one line each; the caller takes these lines */
    uint64_t items_in_buf; /* how many items are in `items` */
    uint64_t item_count;   /* items of the whole body so far */
    bool items_seen;       /* SPLIT_JOB: the array "items" has begun; otherwise always true */
    bool items_ended;      /* the array "items" has ended, so item_count is final; options may still follow */
    bool has_options;      /* the body has options: SPLIT_JOB, or after splitter_expect_options() */
    struct buf options;    /* always a valid JSON object, with the options that are complete so far */
    /* SPLIT_JOB: the place in `options` of the longest value of LONG_OPTION_BYTES or more. long_len is 0: there is
     * none. Because the value was scanned when it arrived, the options can be read without scanning it again. */
    size_t long_at, long_len;
    struct split_error error;

    /* Private. */
    enum split_format format;
    unsigned max_depth;
    uint8_t state;    /* SPLIT_JOB: enum split_state */
    bool begun;       /* the encoding is known */
    uint8_t head_len; /* until the encoding is known: how many bytes are in `head` */
    char head[ENCODING_BYTES];
    uint64_t offset;   /* offset of the first byte of the piece being fed */
    size_t mark_bytes; /* length of the byte order mark */
    struct json_scan scan;
    struct buf partial; /* the bytes of an unfinished item, name or option value, which have been checked */
    bool options_open;  /* the first line, which has the options, is not whole */
    /* For lines: the unfinished line. */
    bool line_held;
    uint8_t line;         /* enum line_state */
    uint8_t mark_len;     /* LINE_MARK: bytes of a byte order mark so far */
    uint8_t rest_len;     /* text: number of bytes that cannot be decoded before the next byte arrives */
    char rest[4];         /* text: the bytes that cannot be decoded yet */
    uint64_t line_offset; /* offset of the first byte of the item */
    uint64_t line_bytes;  /* bytes of the item so far */
    /* For lines: the probable size of a long line. Before the first long line, the hint is the size of the body; later
     * it is the size of the last long line. 0: unknown. */
    size_t line_hint;
    struct buf name;  /* SPLIT_JOB: the decoded name of the member being read */
    struct buf names; /* SPLIT_JOB: the names so far, each after its length */
    unsigned name_count;
};

/* max_depth limits the nesting of an item and of the options; 0: LIMIT_JSON_DEPTH. */
void splitter_init(struct splitter *s, enum split_format format, unsigned max_depth);
/* For lines: the first line is a JSON object with options. Call it before the first call of splitter_feed(). */
void splitter_expect_options(struct splitter *s);
/* Tells the splitter how many bytes the body will have. The splitter uses this size only to avoid copies. */
void splitter_expect(struct splitter *s, size_t body_bytes);
/* May be called on a zeroed or released splitter. */
void splitter_release(struct splitter *s);

/* Reads all of data, or fails. After a failure, s->error says why, the items before the fault are in s->items, and
 * every later call fails in the same way. */
MUST_CHECK enum split_status splitter_feed(struct splitter *s, const char *data, size_t len);
/* Returns an upper limit for the memory that splitter_feed() can need for `len` bytes, or that splitter_finish() can
 * need. Pass the result to memory_has_room(). */
size_t splitter_growth(const struct splitter *s, size_t len);
/* Returns the memory that the splitter holds. */
size_t splitter_held(const struct splitter *s);
/* Returns true if nothing has arrived so far, or only a byte order mark. */
bool splitter_is_empty(const struct splitter *s);
/* Call it at the end of the body. The last line is an item even without its newline. */
MUST_CHECK enum split_status splitter_finish(struct splitter *s);

/* Cuts off the first whole lines of data: at most max_lines, and at most max_bytes unless the first line alone is
 * larger. Returns the size of these lines in bytes, and sets *lines to their number. Newlines are counted 16 bytes at a
 * time. */
size_t lines_cut(const char *data, size_t len, uint64_t max_lines, size_t max_bytes, uint64_t *lines);

#endif
