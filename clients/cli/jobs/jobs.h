/*
 * The commands for durable jobs: jobs that a coordinator keeps in its job store. `fantail submit --detach` is in
 * detach.h. A command receives its own arguments (argv[0] is its name) and returns the exit status.
 *
 *     list_jobs.c     fantail jobs
 *     show_jobs.c     fantail status
 *     wait_jobs.c     fantail wait
 *     follow_job.c    fantail events
 *     read_results.c  fantail results
 *     set_options.c   fantail change
 *     change_jobs.c   fantail cancel, fantail redrive
 */
#ifndef FANTAIL_CLI_JOBS_JOBS_H
#define FANTAIL_CLI_JOBS_JOBS_H

#include "common/service/option.h"

int command_jobs(int argc, char **argv);
int command_status(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_events(int argc, char **argv);
int command_results(int argc, char **argv);
int command_change(int argc, char **argv);
int command_cancel(int argc, char **argv);
int command_redrive(int argc, char **argv);

extern const struct option_spec jobs_option_spec, status_option_spec, wait_option_spec, events_option_spec,
    results_option_spec, change_option_spec, cancel_option_spec, redrive_option_spec;

#endif
