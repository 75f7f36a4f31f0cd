/*
 * Writes answer lines in the format that the client asked for, directly into the send buffer. Each line is copied once,
 * after a prefix. Writing can stop at any byte and continue later, so a line may be larger than the buffer. The lines
 * are in canonical form (answer_reader.h). Pure.
 *
 *     RESULTS_NDJSON   {"value":1}  ->  {"type":"result","index":0,"value":1}
 *                      {"error":{}} ->  {"type":"error","index":0,"error":{}}
 *     RESULTS_JSON     {"value":1}  ->  1
 *                      {"error":{}} ->  null
 *     RESULTS_ERRORS   {"error":{}} ->  {"index":0,"error":{}}
 *
 * RESULTS_JSON and RESULTS_ERRORS write a comma before each line but the first. RESULTS_JSON passes each error line to
 * on_error, so that the document can list the errors after the results. RESULTS_ERRORS takes only error lines.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_RESULT_WRITER_H
#define FANTAIL_COORDINATOR_ANSWERS_RESULT_WRITER_H

#include "common/base/buf.h"
#include "coordinator/answers/answer_source.h"

enum result_format { RESULTS_NDJSON, RESULTS_JSON, RESULTS_ERRORS };

struct result_writer {
    enum result_format format;
    /* Stores the error line of the item `index`. Returns false when the line cannot be stored. Called for RESULTS_JSON
     * only. */
    bool (*on_error)(void *data, uint64_t index, const char *line, size_t len);
    void *data;
    bool failed; /* on_error returned false */

    /* For RESULTS_NDJSON and RESULTS_ERRORS. If `runs` is set, equal error lines of consecutive items of one run become
     * one entry with the number of the items. If the lines have more than 256 KiB together, they become several
     * entries. If `runs` is not set, a line that stands for several items is written once for each of them. There is
     * one exception: when alone_left is used up, the error of unanswered items is written only once. */
    bool runs;
    uint64_t alone_left; /* how many errors of unanswered items may still be written one by one */

    /* If `count` is above 1, the line stands for `count` items, and has a member "count" with this number. In
     * RESULTS_JSON, `count` is 1. */
    uint64_t count;

    /* Private: the line being written. */
    uint64_t index; /* index of the next line */
    uint64_t written_lines;
    char prefix[96];
    size_t prefix_len, prefix_at;
    bool in_line;
    size_t line_len, body_from, body_len,
        body_at;     /* the body of the line: body_len bytes from body_from on; body_at of them were copied */
    char digits[24]; /* `index` in decimal */
    size_t digits_len;
};

/* Sets alone_left to UINT64_MAX. */
void result_writer_init(struct result_writer *w, enum result_format format);

/* The result of one call. A line is counted when its last byte has been written. If several lines become one entry, all
 * of them are counted. */
struct result_written {
    size_t bytes; /* bytes written to dst */
    uint64_t lines;
    size_t line_bytes; /* the length of these lines */
};

/* Writes the n answer lines to dst, and stops when it has written cap bytes. The lines have len bytes in all. The first
 * line is the answer of item `first`. If the last call left a line unfinished, `lines` must begin with that line again;
 * its address may differ. The last line is not searched for its end, because the line may be long. */
struct result_written result_writer_write(struct result_writer *w, uint64_t first, uint64_t n, const char *lines,
                                          size_t len, char *dst, size_t cap);
/* Writes a run of answers, like result_writer_write(). A line that stands for all items of the run is written for each
 * item, or once: see w->runs. The result counts items instead of lines. */
struct result_written result_writer_write_run(struct result_writer *w, const struct answer_run *run, char *dst,
                                              size_t cap);

#endif
