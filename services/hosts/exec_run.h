/*
 * Runs one command from start to end: provides its stdin, reads its stdout, and copies its stderr to our stderr. The
 * last bytes of stderr are kept too. The run ends when the command ends, even if descendants of the command still print
 * something. Descendants that still run are killed (exec_orphans.h). If this process dies, the kernel kills the command
 * (PR_SET_PDEATHSIG).
 */
#ifndef FANTAIL_HOSTS_EXEC_RUN_H
#define FANTAIL_HOSTS_EXEC_RUN_H

#include "common/json/byte_tail.h"
#include "common/base/limits.h"
#include "hosts/runs/block_feed.h"
#include "hosts/runs/gate.h"
#include "hosts/runs/result_files.h"

enum run_end {
    RUN_EXITED,      /* code: exit status */
    RUN_SIGNALLED,   /* code: signal */
    RUN_NOT_STARTED, /* code: errno */
    RUN_TIMED_OUT,
    RUN_TOO_LONG, /* more than LIMIT_ANSWER_BYTES on stdout */
    RUN_HALTED,   /* the run of fantail map is halted: the command was killed, or did not start */
    RUN_YIELDED,  /* killed because memory is short; it must run again */
    RUN_UNSAVED,  /* code: errno; the files of --results could not be written */
    RUN_UNFED,    /* code: errno; the block for its stdin could not be read. 0: the size of the file has changed */
};

struct run_outcome {
    enum run_end end;
    int code;
};

/* The resources that the last command has used. */
struct run_usage {
    int64_t start_us; /* microseconds since 1970 */
    int64_t took_us;
    int64_t peak_bytes; /* the largest resident set of one of its processes; 0: not known */
};

struct runner {
    struct buf out;                /* stdout of the last run */
    struct byte_tail err;          /* the end of stderr of the last run */
    int stderr_read, stderr_write; /* one pipe for all runs */
    int null_fd;
    char *program;       /* the program of the last command, as argv[0] names it; NULL: there was no command */
    char *path;          /* path of that program; NULL: it was not found in PATH */
    uint64_t timeout_ms; /* 0: none */
    int nice;            /* added to the niceness of a command */
    struct run_usage usage;
    struct gate *gate;          /* borrowed; may end a command; NULL: none */
    int lines_fd;               /* gets each line of stdout as soon as the line is complete (line_pipe.h); -1: none */
    const struct buf *tag;      /* borrowed; stands before each line that is passed on, with a tab; NULL: nothing */
    size_t passed;              /* bytes of `out` that were passed on */
    size_t dropped;             /* bytes of stdout that were passed on and are no longer in `out` */
    struct result_files *files; /* borrowed; open while a command runs; NULL: none */
};

/* `error_bytes`: how many bytes of stderr are kept. If a descriptor cannot be opened, returns false and sets errno. */
MUST_CHECK bool runner_init(struct runner *r, uint64_t timeout_ms, size_t error_bytes);
void runner_release(struct runner *r);

/* What a command reads from its stdin. */
struct run_input {
    const char *text; /* borrowed; NULL: nothing */
    size_t len;
    const struct feed_block *block; /* if it is not NULL, the command gets this block instead of the text */
};

/* Runs argv; argv[-1] must be writable. Searches PATH for the program, as a shell does. */
struct run_outcome runner_run(struct runner *r, char **argv, const struct run_input *input);

#endif
