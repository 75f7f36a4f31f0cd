/*
 * Recognises an NDJSON body whose only item looks like a job object, or like an array of all items. If a job has such a
 * body, a hint says how to send the items. The job is not refused, because the item may be meant as it is: a task may
 * take an array, or an object with members such as `task` and `items`.
 */
#ifndef FANTAIL_COORDINATOR_JOB_JOB_HINT_H
#define FANTAIL_COORDINATOR_JOB_JOB_HINT_H

#include "coordinator/items/splitter.h"

/* What the only item of an NDJSON body looks like: LIKE_SOURCE has "items", "range" or "spans"; LIKE_JOB also has
 * "task"; LIKE_ITEMS is an array, like the value of "items". All other bodies are LIKE_NOTHING. */
enum job_likeness { LIKE_NOTHING, LIKE_SOURCE, LIKE_JOB, LIKE_ITEMS };

/* Returns what the only item of the body looks like. Call it before the first item is taken from the splitter. */
enum job_likeness job_likeness_of(const struct splitter *s);
/* Returns a hint about the only item of a job, or NULL. `failed`: the item has failed. The text is static. */
const char *job_likeness_hint(enum job_likeness likeness, bool failed);

#endif
