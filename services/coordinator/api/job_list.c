#include "coordinator/api/job_list.h"

#include "common/http_server/http_server.h"
#include "coordinator/items/jobspec_fields.h"
#include "coordinator/status/status.h"

enum { JOBS_AT_ONCE = 32 };

void job_list_write_job(struct buf *out, const struct job *j)
{
    struct status_job status = job_status(j);
    status_write_job(out, &status);
}

/* A user who runs `curl URL?task=...` without a body sends a GET, but means a POST. */
const char *job_list_hint(const char *parameter)
{
    if (!jobspec_field(parameter) && !jobspec_is_group(parameter)) return NULL;
    return "to submit a job, send POST: use curl -X POST, or give curl the items with -d or --data-binary";
}

void job_list_begin(struct job_list *l, struct jobs *jobs, struct buf *before)
{
    *l = (struct job_list){.out = *before};
    *before = (struct buf){0};
    jobs_walk_begin(&l->cursor, jobs);
}

void job_list_release(struct job_list *l)
{
    jobs_walk_end(&l->cursor);
    buf_release(&l->out);
}

static void write_jobs(struct job_list *l)
{
    for (int i = 0; i < JOBS_AT_ONCE; i++) {
        const struct job *j = jobs_walk_next(&l->cursor);
        if (!j) {
            buf_add_str(&l->out, l->has_jobs ? "]}\n" : "[]}\n");
            l->is_whole = true;
            return;
        }
        if (j->keeper) continue;
        buf_add_char(&l->out, l->has_jobs ? ',' : '[');
        l->has_jobs = true;
        job_list_write_job(&l->out, j);
    }
}

ssize_t job_list_pull(struct job_list *l, char *dst, size_t cap)
{
    while (l->sent == l->out.len) {
        if (l->is_whole) return HTTP_PULL_END;
        buf_clear(&l->out);
        l->sent = 0;
        write_jobs(l);
    }
    return (ssize_t)bytes_copy_next(dst, cap, l->out.data, l->out.len, &l->sent);
}
