/*
 * The items of a run, cut at line ends into batches. Each batch becomes the body of one job. The first batches are
 * small, so that the first results come soon. Later batches grow while the input is fast. When the input pauses for
 * INPUT_QUIET_MS, the lines read so far become a batch. A batch has whole lines only, so it can be as large as the
 * largest line (LIMIT_ITEM_BYTES). If a line is longer, only its beginning is kept, as a batch with too_long set.
 *
 * The input is UTF-8. A byte order mark at the start of the input is dropped, except with INPUT_NULLS and
 * INPUT_NULL_ROWS, where each byte belongs to an item.
 */
#ifndef FANTAIL_CLI_ITEMS_INPUT_H
#define FANTAIL_CLI_ITEMS_INPUT_H

#include "cli/items/batch.h"
#include "cli/items/input_source.h"
#include "cli/items/line_filter.h"
#include "cli/items/row_encoder.h"
#include "common/base/base.h"
#include "common/json/encoding.h"

#define INPUT_QUIET_MS 5

struct input {
    struct input_source *source; /* borrowed */
    enum input_form form;
    bool begun;             /* the encoding is known */
    enum encoding encoding; /* if it is UTF-16 or UTF-32, no byte is used, and `ended` is set */
    size_t head;            /* until the encoding is known: the number of bytes that wait after the data of `filling` */
    char head_bytes[ENCODING_BYTES]; /* with rows, these bytes; they are not encoded yet */
    struct row_encoder rows;
    struct line_filter filter; /* for lines that are not rows; lists and records are filtered elsewhere */
    bool in_text;              /* with INPUT_NULLS: the last byte read did not end an item */
    bool skip_blank;           /* blank lines are not items */
    bool ended;                /* the input has ended, or reading it failed */
    bool dropping;             /* the rest of a line that is too long is being skipped */
    struct batch filling;      /* the next batch, and the beginning of a line after it */
    size_t cut;                /* how many bytes of `filling` are whole lines */
    uint64_t cut_lines;        /* the number of these lines */
    size_t target;             /* the size at which the next batch is cut */
    size_t batch_max;          /* maximum size of a batch, but a batch has at least one item; 0: no limit */
    bool last_was_newline;
    uint64_t read_ns;      /* when the last bytes came */
    uint64_t bytes, lines; /* bytes and lines read so far; with rows, bytes before they are encoded */
    uint64_t lines_cut;    /* lines in all batches so far, with blank lines */
    uint64_t file_start;   /* for a regular file: where the input begins */
    uint64_t file_size;    /* the bytes after file_start; 0: the source is not a regular file */
    uint64_t file_lines;   /* the number of lines of the file, if input_count_file() has counted them; otherwise 0 */
    uint64_t items;        /* the number of items that lists have; 0: not known */
    int error;             /* errno of a failed read; 0: none */
};

/* Borrows the source until input_release(). */
void input_init(struct input *in, struct input_source *source, enum input_form form);
void input_release(struct input *in);
/* If the source is a file and each of its lines is an item, counts the lines of the file. Does not count the lines of
 * a large file, because that would take long. */
void input_count_file(struct input *in);
/* Returns whether more bytes should be read. If more bytes should be read, poll the descriptor for input. */
bool input_wants_bytes(const struct input *in);
/* Calls read() once. If read() fails, sets in->error. */
void input_read(struct input *in, uint64_t now);
/* Returns whether a batch should be cut now. `idle`: no job is running, so there is no reason to wait for more
 * lines. */
bool input_has_batch(const struct input *in, bool idle, uint64_t now);
/* Returns in how many milliseconds input_has_batch() may become true without more input; -1: never. */
int input_timeout_ms(const struct input *in, uint64_t now);
/* From now on, each batch that input_cut_some() cuts has at most max_bytes bytes, unless a single item is larger. */
void input_limit_batches(struct input *in, size_t max_bytes);
/* Moves the whole lines into *b. The next batch reuses the memory that *b had before the call. */
void input_cut(struct input *in, struct batch *b);
/* Like input_cut(), but *b gets at most items_max items. An items_max of 0 sets no limit. */
void input_cut_some(struct input *in, struct batch *b, uint64_t items_max);
/* Returns whether every batch has been cut and there is no more input. */
bool input_is_empty(const struct input *in);

/* Encodes bytes of INPUT_NULLS as JSON strings, one per line. `out` has room for INPUT_NULLS_ROOM(len) bytes. Returns
 * the number of bytes written. Bytes that are not valid UTF-8 are copied unchanged. An item with such bytes is not
 * valid JSON, so it is rejected instead of changed. */
size_t input_encode_nulls(const char *data, size_t len, bool *in_text, char *out);
#define INPUT_NULLS_ROOM(len) (6 * (len))

#endif
