/* Writes the record of a command that has ended (protocol/run_record.h). Does not handle processes. */
#ifndef FANTAIL_HOSTS_EXEC_RECORD_H
#define FANTAIL_HOSTS_EXEC_RECORD_H

#include "hosts/exec_answer.h"

struct exec_record {
    uint64_t index;
    unsigned slot, attempt;
    size_t sent;
    const char *program;         /* the program of the command, for messages */
    const struct buf *command;   /* the command line */
    const struct runner *runner; /* the runner that has run the command */
    struct run_outcome outcome;
};

/* Returns the exit status of the command as a shell shows it. If a signal killed the command, the status is 128 plus
 * the number of the signal. */
int exec_record_status(struct run_outcome outcome);
/* Appends the answer line with the record. */
void exec_record_add(struct buf *line, enum exec_output output, const struct exec_record *r);

#endif
