/*
 * Makes the answer line from the output of a command and from the way in which the command ended. Does not handle
 * processes.
 *
 * Unless the output is raw, it must be UTF-8. A byte order mark at the start of the output is dropped. If the output is
 * not valid UTF-8, or is text with a NUL byte, the item fails with bad_output. So a value never contains replacement
 * characters for invalid bytes.
 */
#ifndef FANTAIL_HOSTS_EXEC_ANSWER_H
#define FANTAIL_HOSTS_EXEC_ANSWER_H

#include "common/base/buf.h"
#include "hosts/exec_run.h"
#include "protocol/protocol.h"

#define EXEC_CAUSE_SIZE 160

enum exec_output {
    EXEC_OUTPUT_AUTO,  /* a JSON value if the output is one, otherwise a string */
    EXEC_OUTPUT_JSON,  /* a JSON value; any other output is an error */
    EXEC_OUTPUT_TEXT,  /* a string, without the last newline */
    EXEC_OUTPUT_LINES, /* an array of strings, one for each line */
    EXEC_OUTPUT_RAW,   /* any bytes, as a string of common/json/byte_text.h */
    EXEC_OUTPUT_COUNT
};

/* Returns false if the word is not one of auto, json, text, lines and raw. */
MUST_CHECK bool exec_output_parse(const char *word, enum exec_output *output);

/* Appends the answer line for a run of `program`, with a newline. */
void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, const char *program,
                 struct run_outcome outcome);
/* Appends the output as a JSON value. If the output does not have the requested form, returns false, with a sentence in
 * `cause`. If the result is false, a part of a value may already have been appended to `json`. */
MUST_CHECK bool exec_output_add(struct buf *json, enum exec_output output, const struct buf *out, char *cause);
/* Returns the error of a run that did not succeed. */
enum item_error exec_error_of(struct run_outcome outcome);
/* Appends the error object of a run that did not succeed. */
void exec_error_add(struct buf *json, const struct runner *r, const char *program, struct run_outcome outcome);
/* Appends {"error":{"name":...,"cause":...}} and a newline. */
void exec_answer_error(struct buf *line, const char *name, const char *cause);

#endif
