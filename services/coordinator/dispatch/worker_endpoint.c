#include "coordinator/dispatch/worker_endpoint.h"

#include "common/observe/log.h"
#include "coordinator/sched/sched_stats.h"
#include "protocol/protocol.h"

/* The timeout is short, because a healthy worker answers a probe immediately. */
enum { PROBE_TIMEOUT_MS = 2000 };
enum { LACKS_TASK_PAUSE_MS = 1000 };

static void set_tasks(struct worker_endpoint *e, const struct task_list *has)
{
    struct sched_endpoint_task *tasks = xcalloc(has->count + 1, sizeof *tasks);
    size_t n = 0;
    for (size_t i = 0; i < has->count; i++)
        if (!has->tasks[i].error) tasks[n++] = (struct sched_endpoint_task){has->tasks[i].name, has->tasks[i].slots};
    sched_endpoint_set_tasks(e->dispatcher->scheduler, e->sched, tasks, n, now_ns());
    free(tasks);
}

static void report_probe(struct worker_endpoint *e, bool ready)
{
    bool rejected_before = sched_endpoint_rejects_token(e->sched);
    e->awaits_tasks = false;
    sched_endpoint_probed(e->dispatcher->scheduler, e->sched, ready, now_ns());
    worker_endpoint_log_token(e, rejected_before);
}

static void worker_said(void *owner, const struct task_list *has, uint64_t worker_id)
{
    struct worker_endpoint *e = owner;
    if (has) set_tasks(e, has);
    sched_endpoint_reached(e->dispatcher->scheduler, e->sched, has, now_ns());
    if (worker_id) e->worker_id = worker_id;
    if (e->awaits_tasks) report_probe(e, true);
    scheduler_timing_want(e->dispatcher->turn);
}

struct worker_endpoint *worker_endpoint_new(struct dispatcher *d, struct endpoint *at)
{
    struct worker_endpoint *e = xcalloc(1, sizeof *e);
    e->dispatcher = d;
    e->at = at;
    e->sched = sched_endpoint_add(d->scheduler, e, d->fleet->endpoints.mode == ENDPOINTS_BALANCER, 0, now_ns());
    e->survey = survey_add(&d->fleet->survey, at, worker_said, e);
    return e;
}

void worker_endpoint_free(struct worker_endpoint *e)
{
    if (e->probe) http_call_cancel(e->probe);
    survey_remove(&e->dispatcher->fleet->survey, e->survey);
    connect_error_forget(&e->dispatcher->fleet->connect_error, e->at);
    sched_endpoint_remove(e->dispatcher->scheduler, e->sched);
    free(e);
}

void worker_endpoint_heard(struct worker_endpoint *e, uint64_t worker_id)
{
    struct worker_fleet *f = e->dispatcher->fleet;
    if (worker_endpoint_is_balancer(e) || e->worker_id == worker_id) return;
    if (e->worker_id) survey_ask(&f->survey, e->survey, 0);
    e->worker_id = worker_id;
}

void worker_endpoint_registered(struct worker_endpoint *e, bool other, const char *tasks)
{
    struct dispatcher *d = e->dispatcher;
    if (other) sched_endpoint_probe_now(d->scheduler, e->sched, now_ns());
    survey_compare(&d->fleet->survey, e->survey, tasks);
    if (other) scheduler_timing_want(d->turn);
}

void worker_endpoint_ask_again(struct worker_endpoint *e)
{
    struct dispatcher *d = e->dispatcher;
    sched_endpoint_probe_now(d->scheduler, e->sched, now_ns());
    survey_ask(&d->fleet->survey, e->survey, 0);
    scheduler_timing_want(d->turn);
}

bool worker_endpoint_is_balancer(const struct worker_endpoint *e)
{
    return e->dispatcher->fleet->endpoints.mode == ENDPOINTS_BALANCER;
}

void worker_endpoint_names_answers(struct worker_endpoint *e, bool named)
{
    e->names_answers = named;
}

/* Asks the worker again which tasks it has, at the earliest LACKS_TASK_PAUSE_MS after the last request. Without the
 * pause, a worker that lists the task but cannot run it would be asked again and again. */
void worker_endpoint_lacks_task(struct worker_endpoint *e)
{
    survey_ask(&e->dispatcher->fleet->survey, e->survey, LACKS_TASK_PAUSE_MS);
}

void worker_endpoint_log_token(const struct worker_endpoint *e, bool rejected_before)
{
    bool rejects = sched_endpoint_rejects_token(e->sched);
    if (rejects && !rejected_before)
        log_error(e->dispatcher->fleet->authorization
                      ? "a worker rejects our token; the --token-file of the worker must have the first token of "
                        "--worker-token-file"
                      : "a worker asks for a token, and there is no --worker-token-file",
                  LOG_STR("url", e->at->url), LOG_STR("address", e->at->connect_to));
    else if (!rejects && rejected_before)
        log_info("a worker accepts our token again", LOG_STR("url", e->at->url), LOG_STR("address", e->at->connect_to));
}

static void on_probe_end(void *data, const struct http_call_result *r)
{
    struct worker_endpoint *e = data;
    struct dispatcher *d = e->dispatcher;
    bool ready = r->outcome == HTTP_CALL_OK && r->status == 200;
    e->probe = NULL;
    connect_error_note(&d->fleet->connect_error, e->at, r);
    e->awaits_tasks = ready;
    if (ready)
        survey_ask(&d->fleet->survey, e->survey, 0);
    else
        report_probe(e, false);
    scheduler_timing_want(d->turn);
}

void worker_endpoint_probe(struct worker_endpoint *e)
{
    struct worker_fleet *f = e->dispatcher->fleet;
    char url[512];
    const char *headers[] = {f->authorization, NULL};
    if (e->probe) return;
    /* /readyz needs no token, so its answer does not show whether our token is accepted again. */
    snprintf(url, sizeof url, "%s%s", e->at->url, sched_endpoint_rejects_token(e->sched) ? PATH_TASKS : "/readyz");
    e->probe = http_call_start(f->client, &(struct http_call_options){
                                              .method = "GET",
                                              .url = url,
                                              .connect_to = e->at->connect_to,
                                              .headers = headers,
                                              .on_end = on_probe_end,
                                              .data = e,
                                              .silence_timeout_ms = PROBE_TIMEOUT_MS,
                                          });
}
