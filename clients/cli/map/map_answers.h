/* From the lines of a job's answer to standard output and the list of failures: the hot path of `fantail map`. */
#ifndef FANTAIL_CLI_MAP_MAP_ANSWERS_H
#define FANTAIL_CLI_MAP_MAP_ANSWERS_H

#include "cli/map/map_internal.h"

/* Takes every whole line that has come. May stop the run. */
void map_answers_take(struct map_run *run, struct map_job *j);
/* The item j->bad fails, here, without having been sent. */
void map_answers_add_bad_item(struct map_run *run, struct map_job *j);

#endif
