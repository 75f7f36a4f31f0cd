/* The list of jobs, newest first, page by page. */
#ifndef FANTAIL_CLI_JOBS_JOB_PAGES_H
#define FANTAIL_CLI_JOBS_JOB_PAGES_H

#include "cli/remote/job_service.h"

#define JOB_PAGE_MAX 200 /* maximum number of jobs in one page */

/* Which jobs are listed. Borrowed; NULL: all. */
struct job_filter {
    const char *status, *task, *label;
};

/* To begin, zero the struct, then set `service` and `filter`. */
struct job_pages {
    struct job_service *service; /* borrowed */
    struct job_filter filter;
    struct buf cursor;
    bool over;               /* the last page was read */
    bool has_store;          /* known after the first page. Without a store, there is one page with the running jobs */
    struct remote_job *jobs; /* the page; it borrows the answer in `service` */
    size_t count;            /* how many jobs the page has */
    size_t synchronous;      /* the page begins with this many jobs that are not durable; they are not sorted */
};

/* Reads the next page, of at most `limit` jobs. The first page begins with the running jobs that are not durable,
 * unless there is a filter. Returns EXIT_OK, or complains and returns an exit status. */
MUST_CHECK int job_pages_next(struct job_pages *p, size_t limit);
void job_pages_release(struct job_pages *p);

#endif
