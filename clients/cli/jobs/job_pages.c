#include "cli/jobs/job_pages.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/http/query.h"
#include "cli/http/refusal.h"
#include "protocol/protocol.h"

static bool has_filter(const struct job_filter *f)
{
    return f->status || f->task || f->label;
}

static bool add_jobs(struct job_pages *p, struct json_slice list)
{
    struct json_walk walk;
    struct json_slice text;
    if (!json_walk_init(&walk, list.data, list.len)) return false;
    while (json_walk_next(&walk, NULL, &text)) {
        if (p->count % JOB_PAGE_MAX == 0) p->jobs = xrealloc(p->jobs, (p->count + JOB_PAGE_MAX) * sizeof(*p->jobs));
        if (!remote_job_read(&p->jobs[p->count++], text.data, text.len)) return false;
    }
    return true;
}

static bool read_members(struct job_pages *p, bool first)
{
    const struct buf *answer = &p->service->http.answer;
    struct json_walk walk;
    struct json_slice name, value;
    struct json_slice jobs = {0}, synchronous = {0};
    p->count = p->synchronous = 0;
    p->over = true;
    if (!answer->len || !json_walk_init_checked(&walk, answer->data, answer->len)) return false;
    while (json_walk_next(&walk, &name, &value)) {
        if (json_string_is(name, "scope")) p->has_store = json_string_is(value, "store");
        if (json_string_is(name, "next") && json_string_decode(value, &p->cursor)) p->over = p->cursor.len == 0;
        if (json_string_is(name, "jobs")) jobs = value;
        if (json_string_is(name, "synchronous") && first && !has_filter(&p->filter)) synchronous = value;
    }
    if (synchronous.len && !add_jobs(p, synchronous)) return false;
    p->synchronous = p->count;
    return jobs.len && add_jobs(p, jobs);
}

/* Reads the page in the answer. Returns false if the answer is not a list of jobs, or if it has no new job but names a
 * next page: following such pages could go on for ever. */
static bool read_page(struct job_pages *p)
{
    struct buf before = p->cursor;
    p->cursor = (struct buf){0};
    bool good = read_members(p, before.len == 0);
    bool is_repeated =
        before.len == p->cursor.len && before.len && memcmp(before.data, p->cursor.data, before.len) == 0;
    buf_release(&before);
    return good && (p->over || (p->count > p->synchronous && !is_repeated));
}

static void make_path(struct job_pages *p, size_t limit, struct buf *path)
{
    buf_add_str(path, PATH_JOBS);
    query_add_number(path, "limit", limit < JOB_PAGE_MAX ? limit : JOB_PAGE_MAX);
    if (p->filter.status) query_add(path, "status", p->filter.status);
    if (p->filter.task) query_add(path, "task", p->filter.task);
    if (p->filter.label) query_add(path, "label", p->filter.label);
    if (p->cursor.len) query_add(path, "cursor", buf_cstr(&p->cursor));
}

/* A coordinator without a job store refuses all query parameters. So this function asks again without parameters, to
 * find out whether the parameters were wrong or the coordinator has no store. */
static int was_refused(struct job_pages *p)
{
    struct buf why = {0};
    int refused_with = p->service->http.status;
    refusal_add_text(&p->service->http, &why);
    int status = job_service_get(p->service, PATH_JOBS);
    bool good = !status && read_page(p);
    if (good && p->has_store) complain("the service refused the request (%d): %s", refused_with, buf_cstr(&why));
    if (good && !p->has_store && has_filter(&p->filter))
        complain("the coordinator has no job store, so its list cannot be filtered. Start the coordinator with --store "
                 "sqlite:PATH");
    buf_release(&why);
    if (good) return p->has_store || has_filter(&p->filter) ? EXIT_JOB_FAILED : EXIT_OK;
    if (!status) complain("the answer is not a list of jobs of a fantail coordinator; check --url");
    return EXIT_JOB_FAILED;
}

int job_pages_next(struct job_pages *p, size_t limit)
{
    struct buf path = {0};
    make_path(p, limit, &path);
    const struct job_request request = {
        .method = "GET", .path = buf_cstr(&path), .headers = "Accept: " TYPE_JSON "\r\n", .may_repeat = true};
    bool answered = job_service_ask(p->service, &request);
    buf_release(&path);
    if (!answered) return EXIT_JOB_FAILED;
    if (p->service->http.status == 400) return was_refused(p);
    if (p->service->http.status != 200) return refusal_complain(&p->service->http);
    if (read_page(p)) return EXIT_OK;
    complain("the answer is not a list of jobs of a fantail coordinator; check --url");
    return EXIT_JOB_FAILED;
}

void job_pages_release(struct job_pages *p)
{
    buf_release(&p->cursor);
    free(p->jobs);
    *p = (struct job_pages){0};
}
