/* Finds the jobs that the arguments of a command name, and calls a function for each job. */
#ifndef FANTAIL_CLI_JOBS_EACH_JOB_H
#define FANTAIL_CLI_JOBS_EACH_JOB_H

#include "cli/remote/job_service.h"

#define JOB_JSON_OPTION_ROW(S, f)                                                                                      \
    OPTION_BOOL("json", S, f, NULL, "print each job as the service describes it, one JSON object per line",            \
                .no_env = true)

struct each_job {
    const struct option_spec *spec;
    const struct target_config *client;
    double reconnect_s;
    char *const *words; /* the operands, NULL-terminated; each is an id or the beginning of an id */
    /* Handles one job. Returns an exit status. */
    int (*handle)(struct job_service *s, const char *id, void *data);
    void *data;
};

/* Calls `handle` for each job, in the order of the words. Returns the worst exit status. If any of the words names no
 * job or several jobs, handles no job. If a signal asks the program to end, does not return: the program kills itself
 * with that signal. */
MUST_CHECK int each_job_run(const struct each_job *e);

/* Prints the job's document on a line of standard output. */
void job_print_json(const struct remote_job *j);
/* Prints the job's document if `json` is set; otherwise like job_print_progress(). */
void job_print(const struct remote_job *j, bool json);
/* Prints a line on standard output: the id and the formatted text. */
void job_print_line(const char *id, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the job's id, its status and how many items are done. */
void job_print_progress(const struct remote_job *j);

#endif
