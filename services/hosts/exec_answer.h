/*
 * Makes the answer line from the output of a command and the way the command ended. Does not handle processes.
 *
 * The output must be UTF-8. A byte order mark at the start of the output is dropped. If the output is not valid UTF-8,
 * or is text with a NUL byte, the item fails with bad_output. So a value never contains replacement characters for
 * invalid bytes.
 */
#ifndef FANTAIL_HOSTS_EXEC_ANSWER_H
#define FANTAIL_HOSTS_EXEC_ANSWER_H

#include "common/base/buf.h"
#include "hosts/exec_run.h"

enum exec_output {
    EXEC_OUTPUT_AUTO,  /* a JSON value if the output is one, otherwise a string */
    EXEC_OUTPUT_JSON,  /* a JSON value; any other output is an error */
    EXEC_OUTPUT_TEXT,  /* a string, without the last newline */
    EXEC_OUTPUT_LINES, /* an array of strings, one for each line */
    EXEC_OUTPUT_COUNT
};

/* Returns false if the word is not one of auto, json, text and lines. */
MUST_CHECK bool exec_output_parse(const char *word, enum exec_output *output);

/* Appends the answer line for a run of `program`, with a newline. */
void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, const char *program,
                 struct run_outcome outcome);
/* Appends {"error":{"name":...,"cause":...}} and a newline. */
void exec_answer_error(struct buf *line, const char *name, const char *cause);

#endif
