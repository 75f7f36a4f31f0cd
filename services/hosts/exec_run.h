/*
 * Runs one command from start to end: feeds its stdin, takes its stdout, passes its stderr on while keeping the tail.
 * The run is over when the command has ended; what descendants that it left behind print afterwards is not waited for.
 * The command dies with this process (PR_SET_PDEATHSIG).
 */
#ifndef FANTAIL_HOSTS_EXEC_RUN_H
#define FANTAIL_HOSTS_EXEC_RUN_H

#include "common/base/buf.h"
#include "common/base/limits.h"

enum run_end {
    RUN_EXITED,      /* code: exit status */
    RUN_SIGNALLED,   /* code: signal */
    RUN_NOT_STARTED, /* code: errno */
    RUN_TIMED_OUT,
    RUN_TOO_LONG, /* more than LIMIT_ANSWER_BYTES on stdout */
};

struct run_outcome {
    enum run_end end;
    int code;
};

struct runner {
    struct buf out;                            /* stdout of the last run */
    char stderr_tail[LIMIT_STDERR_TAIL_BYTES]; /* of the last run */
    size_t stderr_len;
    int stderr_read, stderr_write; /* one pipe for all runs */
    int null_fd;
    const char *path; /* of the program; NULL: argv[0] was not found in PATH */
    char *found_path;
    uint64_t timeout_ms; /* 0: none */
};

/* False when a descriptor cannot be had; errno says why. `program` is looked up in PATH as a shell would. */
MUST_CHECK bool runner_init(struct runner *r, const char *program, uint64_t timeout_ms);
void runner_release(struct runner *r);

/* argv[-1] must be writable. input NULL: stdin is /dev/null. */
struct run_outcome runner_run(struct runner *r, char **argv, const char *input, size_t input_len);

#endif
