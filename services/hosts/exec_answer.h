/* From the outcome of a command to an answer line. Knows no processes. */
#ifndef FANTAIL_HOSTS_EXEC_ANSWER_H
#define FANTAIL_HOSTS_EXEC_ANSWER_H

#include "common/base/buf.h"
#include "hosts/exec_run.h"

enum exec_output {
    EXEC_OUTPUT_AUTO,  /* json if it is one JSON value, else text */
    EXEC_OUTPUT_JSON,  /* one JSON value; anything else is an error */
    EXEC_OUTPUT_TEXT,  /* a string, without the last newline */
    EXEC_OUTPUT_LINES, /* an array of strings */
    EXEC_OUTPUT_COUNT
};

/* False when the word is none of auto, json, text, lines. */
MUST_CHECK bool exec_output_parse(const char *word, enum exec_output *output);

/* Appends the answer line of a run, newline and all. */
void exec_answer(struct buf *line, enum exec_output output, const struct runner *r, struct run_outcome outcome);
/* Appends {"error":{"name":...,"cause":...}} and a newline. */
void exec_answer_error(struct buf *line, const char *name, const char *cause);

#endif
