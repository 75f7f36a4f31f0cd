/* The texts that `fantail jobs` and `fantail status` print. Pure: the time is an argument. */
#ifndef FANTAIL_CLI_JOBS_JOB_TABLE_H
#define FANTAIL_CLI_JOBS_JOB_TABLE_H

#include "cli/remote/remote_job.h"

enum job_column {
    COLUMN_ID,
    COLUMN_STATUS,
    COLUMN_TASK,
    COLUMN_DONE,
    COLUMN_FAILED,
    COLUMN_AGE,
    COLUMN_LABELS, /* the last one, which is not padded */
    JOB_COLUMN_COUNT
};

/* A table that grows page by page. A zeroed struct is an empty table. */
struct job_table {
    size_t width[JOB_COLUMN_COUNT];
    size_t id_shown;              /* how many characters of an id are shown */
    char last_id[REMOTE_ID_SIZE]; /* the id in the last row so far */
};

/* Appends the rows of one page. Before the first page, appends the heading. The durable jobs must be sorted by id. The
 * columns are as wide as on the earlier pages, or wider if a cell is longer. */
void job_table_add(struct job_table *t, struct buf *out, const struct remote_job *jobs, size_t count, int64_t now_ms);
/* Appends all known facts about one job, a line for each fact. */
void job_facts_add(struct buf *out, const struct remote_job *j, int64_t now_ms);
/* Appends a duration as people say it: "12 s", "5 min", "3 h", "2 d". */
void job_age_add(struct buf *out, int64_t ms);

#endif
