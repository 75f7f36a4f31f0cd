/* The exit statuses of every `fantail` command. Scripts rely on these statuses, because docs/ and --help document them.
 */
#ifndef FANTAIL_CLI_BASE_EXIT_STATUS_H
#define FANTAIL_CLI_BASE_EXIT_STATUS_H

enum exit_status {
    EXIT_OK = 0,
    EXIT_ITEMS_FAILED = 1,
    EXIT_WORK_KILLED = 1, /* `fantail local`: a second signal has killed the services */
    EXIT_USAGE = 2,
    EXIT_JOB_FAILED = 3, /* the job failed, or the service could not be reached */
    EXIT_NOT_ENDED = 4,  /* the job is pending or running */
    EXIT_BY_SIGNAL = 128 /* plus the number of the signal, as in shells */
};

#endif
