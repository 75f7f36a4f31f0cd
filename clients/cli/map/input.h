/*
 * Standard input, cut at line ends into batches: each becomes the body of one job. The first batches are small, so
 * that results come at once; they grow while the input keeps up. Slow input is passed on after a moment of quiet.
 * A batch always holds whole lines, so it may be as large as the largest line (LIMIT_ITEM_BYTES). Of a line beyond that
 * only the beginning is kept, as a batch of its own that says so.
 */
#ifndef FANTAIL_CLI_MAP_INPUT_H
#define FANTAIL_CLI_MAP_INPUT_H

#include "common/base/base.h"
#include "common/json/json_walk.h"

#define INPUT_QUIET_MS 5

enum input_form {
    INPUT_JSON,  /* a JSON value a line; lines of white space are no items */
    INPUT_TEXT,  /* a text a line */
    INPUT_NULLS, /* texts that end with a NUL byte each; batches hold them as JSON strings, a line each */
};

struct batch {
    char *data;
    size_t len, alloc;
    uint64_t lines; /* that have any bytes: for the progress line; batch_count() is exact */
    bool too_long;  /* this is the beginning of one line of more than LIMIT_ITEM_BYTES */
};

struct input {
    int fd;
    bool nulls;      /* the input is INPUT_NULLS */
    bool in_text;    /* of INPUT_NULLS: the last byte was not the end of an item */
    bool skip_blank; /* lines of white space are no items */
    bool ended;
    bool dropping; /* the rest of a line that is too long */
    struct batch filling;
    size_t cut; /* whole lines in it, in bytes */
    uint64_t cut_lines;
    size_t target; /* size of the next batch */
    bool last_was_newline;
    uint64_t read_ns;      /* when bytes came last */
    uint64_t bytes, lines; /* of the batches cut so far and what is being filled */
    uint64_t file_size;    /* 0: not a file */
    int error;
};

void input_init(struct input *in, int fd, enum input_form form);
void input_release(struct input *in);
/* More bytes may be read; poll the descriptor then. */
bool input_wants_bytes(const struct input *in);
void input_read(struct input *in, uint64_t now);
/* A batch should be cut now. `idle`: no job is running that could gather some more lines meanwhile. */
bool input_has_batch(const struct input *in, bool idle, uint64_t now);
/* When input_has_batch() may turn true by time alone: milliseconds from now, or -1. */
int input_timeout_ms(const struct input *in, uint64_t now);
/* Swaps the whole lines into *b; its old memory is used for the next batch. */
void input_cut(struct input *in, struct batch *b);
/* Nothing will come any more. */
bool input_is_empty(const struct input *in);

/* Bytes of INPUT_NULLS as JSON strings, a line each. `out` has room for INPUT_NULLS_ROOM(len). Returns what was
 * written. What is no UTF-8 is carried as it is: no JSON then, so that it is refused and not altered. */
size_t input_encode_nulls(const char *data, size_t len, bool *in_text, char *out);
#define INPUT_NULLS_ROOM(len) (6 * (len))

/* How many items the batch has. */
uint64_t batch_count(const struct batch *b, bool skip_blank);
/* The offset of item `index` of the batch, going on from an earlier position (*offset of item *at). */
size_t batch_seek(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset);
/* That item's line, without its newline; nothing behind the last one. */
struct json_slice batch_item(const struct batch *b, bool skip_blank, uint64_t index, uint64_t *at, size_t *offset);

/* An item that no coordinator takes. */
struct bad_item {
    uint64_t index; /* in the batch */
    size_t offset, len;
    char reason[160];
};

/* Finds the first bad item from item `index` on, which stands at `offset`. text: items are lines of text, not JSON. */
MUST_CHECK bool batch_find_bad(const struct batch *b, bool text, uint64_t index, size_t offset, struct bad_item *bad);

#endif
