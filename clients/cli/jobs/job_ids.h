/* Finds the jobs that a user names by the beginnings of their ids. */
#ifndef FANTAIL_CLI_JOBS_JOB_IDS_H
#define FANTAIL_CLI_JOBS_JOB_IDS_H

#include "cli/remote/job_service.h"

struct job_id {
    char text[REMOTE_ID_SIZE];
};

/* Fills ids[count] with one id for each word: the id that begins with this word. Does not check whether the job of a
 * complete id exists. Complains and returns EXIT_USAGE if a word cannot be the beginning of an id, or if several ids
 * begin with it. Complains and returns EXIT_JOB_FAILED if no id begins with the word. */
MUST_CHECK int job_ids_find(struct job_service *s, const struct option_spec *spec, char *const *words, size_t count,
                            struct job_id *ids);

#endif
