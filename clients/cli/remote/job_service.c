#include "cli/remote/job_service.h"

#include <poll.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/http/query.h"
#include "cli/http/refusal.h"
#include "protocol/protocol.h"

int job_service_init(struct job_service *s, const struct option_spec *spec, const struct target_config *config,
                     double reconnect_s)
{
    char err[256];
    *s = (struct job_service){.retry = {.limit_s = reconnect_s}, .random = {now_ns() ^ (uint64_t)getpid() << 32}};
    connection_init(&s->http, &s->target);
    s->http.answer_max = CONNECTION_LINE_BYTES;
    int status = spec ? target_config_check(spec, config) : EXIT_OK;
    if (status) return status;
    if (target_init(&s->target, config, err, sizeof(err))) return EXIT_OK;
    complain("%s", err);
    return EXIT_JOB_FAILED;
}

void job_service_release(struct job_service *s)
{
    connection_release(&s->http);
    target_release(&s->target);
}

void job_service_pause(uint64_t ms)
{
    struct pollfd fd = {.fd = interrupt_fd(), .events = POLLIN};
    if (!interrupt_signal()) poll(&fd, 1, (int)ms);
}

bool job_service_step(struct job_service *s)
{
    struct connection *c = &s->http;
    struct pollfd fds[2] = {{.fd = c->fd, .events = connection_events(c)}, {.fd = interrupt_fd(), .events = POLLIN}};
    s->reached = s->reached || c->state == CONNECTION_WAITING || c->state == CONNECTION_READING;
    int ready = poll(fds, 2, CONNECTION_SILENCE_S * 1000);
    if (ready > 0 && fds[0].revents) connection_step(c);
    if (ready != 0) return true;
    connection_close(c);
    snprintf(c->error, sizeof(c->error), "nothing came from %s for %d s", s->target.url, CONNECTION_SILENCE_S);
    return false;
}

bool job_service_try_again(struct job_service *s, const char *why)
{
    uint64_t wait_ms;
    bool first = s->retry.tries == 0;
    connection_close(&s->http);
    if (!s->reached || !request_retry_allowed(&s->retry, s->http.retry_after_s, now_ns(), &wait_ms)) {
        complain("%s", why);
        return false;
    }
    if (first) complain("%s; trying again for %.0f s", why, s->retry.limit_s);
    /* Many commands may have lost the same coordinator. With jitter, these commands do not all connect again at the
     * same time. */
    job_service_pause(wait_ms + (uint64_t)(random_unit(&s->random) * 0.5 * (double)wait_ms));
    return !interrupt_signal();
}

bool job_service_may_go_on(struct job_service *s, const char *stream, const char *missing)
{
    struct connection *c = &s->http;
    struct buf why = {0};
    bool refused = c->state == CONNECTION_DONE && c->status != 200;
    if (refused && c->status != 429 && c->status != 503) {
        refusal_complain(c);
        return false;
    }
    if (refused)
        refusal_add_text(c, &why);
    else if (!s->reached && c->error[0])
        buf_add_str(&why, c->error);
    else
        buf_addf(&why, "%s was cut: %s", stream, c->error[0] ? c->error : missing);
    bool again = job_service_try_again(s, buf_cstr(&why));
    buf_release(&why);
    return again;
}

static bool has_answer(const struct job_service *s, const struct job_request *r)
{
    const struct connection *c = &s->http;
    return c->state == CONNECTION_DONE || (r->stops_at_stream && c->state == CONNECTION_READING && c->status == 200);
}

static bool is_away(const struct connection *c, const struct job_request *r)
{
    return c->status == 429 || c->status == 503 || (r->repeats_at_409 && c->status == 409);
}

bool job_service_ask(struct job_service *s, const struct job_request *r)
{
    struct connection *c = &s->http;
    for (;;) {
        connection_request(c, r->method, r->path, r->headers, r->body, r->len);
        while (!has_answer(s, r) && c->state != CONNECTION_BROKEN && !interrupt_signal())
            if (!job_service_step(s)) break;
        if (interrupt_signal()) return false;
        bool answered = has_answer(s, r);
        if (answered && !(r->may_repeat && is_away(c, r) && s->retry.limit_s > 0)) {
            request_retry_reset(&s->retry);
            return true;
        }
        struct buf why = {0};
        if (answered)
            refusal_add_text(c, &why);
        else
            buf_add_str(&why, c->error);
        if (!r->may_repeat) complain("%s", buf_cstr(&why));
        bool again = r->may_repeat && job_service_try_again(s, buf_cstr(&why));
        buf_release(&why);
        if (!again) return false;
    }
}

int job_service_get(struct job_service *s, const char *path)
{
    const struct job_request request = {
        .method = "GET", .path = path, .headers = "Accept: " TYPE_JSON "\r\n", .may_repeat = true};
    if (!job_service_ask(s, &request)) return EXIT_JOB_FAILED;
    return s->http.status == 200 ? EXIT_OK : refusal_complain(&s->http);
}

int job_service_answered_job(struct job_service *s, struct remote_job *j)
{
    const struct buf *answer = &s->http.answer;
    if (answer->len && remote_job_read(j, answer->data, answer->len)) return EXIT_OK;
    complain("the answer is not a job of a fantail coordinator; check --url");
    return EXIT_JOB_FAILED;
}

int job_service_read_job(struct job_service *s, const char *id, uint64_t wait_s, struct remote_job *j)
{
    struct buf path = {0};
    buf_addf(&path, PATH_JOBS "/%s", id);
    if (wait_s) query_add_number(&path, "wait_s", wait_s);
    int status = job_service_get(s, buf_cstr(&path));
    buf_release(&path);
    return status ? status : job_service_answered_job(s, j);
}
