#include "worker/ecs/ecs_agent.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "common/base/buf.h"
#include "common/http_client/http_client.h"
#include "common/observe/log.h"
#include "worker/ecs/protection.h"

#define AGENT_PATH        "/task-protection/v1/state"
#define AGENT_SILENCE_MS  10000 /* longer than the agent's own limit for an answer from ECS */
#define LEAVE_PATIENCE_NS (2 * NS_PER_S)
#define ANSWER_BYTES      (64 * 1024)

struct ecs_agent {
    struct http_client *client;
    struct http_call *call;
    uv_timer_t timer;
    struct protection protection;
    char *url;
    unsigned minutes; /* the ExpiresInMinutes to request */
    char body[80];
    size_t body_len, body_sent;
    struct buf answer;
    bool failing; /* the last request failed, and this was logged */
    bool leaving;
    uint64_t leave_by_ns;
    uint64_t *failures;
};

static void step(struct ecs_agent *a);

/* ---- the answer ---- */

/* Adds "CODE: message" from {"error":{"Code","Message"}} or {"failure":{"Reason","Detail"}}. */
static bool add_reason(const cJSON *root, const char *member, const char *code, const char *more, struct buf *why)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, member);
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(object, code);
    const cJSON *second = cJSON_GetObjectItemCaseSensitive(object, more);
    if (!cJSON_IsString(first)) return false;
    buf_add_str(why, first->valuestring);
    if (cJSON_IsString(second)) buf_addf(why, ": %s", second->valuestring);
    return true;
}

/* Returns whether the agent carried out the request. Only the body of the answer shows whether the request has failed,
 * because some failures have status 200. */
static bool was_done(const struct ecs_agent *a, int status, struct buf *why)
{
    cJSON *root = cJSON_ParseWithLength(a->answer.data, a->answer.len);
    const cJSON *protection = cJSON_GetObjectItemCaseSensitive(root, "protection");
    const cJSON *enabled = cJSON_GetObjectItemCaseSensitive(protection, "ProtectionEnabled");
    bool on = a->protection.asking == PROTECTION_ON;
    bool done = status == 200 && cJSON_IsBool(enabled) && cJSON_IsTrue(enabled) == on;
    if (!done && !add_reason(root, "error", "Code", "Message", why) &&
        !add_reason(root, "failure", "Reason", "Detail", why))
        buf_addf(why, "status %d, but the answer does not confirm the request", status);
    cJSON_Delete(root);
    return done;
}

static enum protection_answer classify_answer(const struct ecs_agent *a, const struct http_call_result *r,
                                              struct buf *why)
{
    if (r->outcome == HTTP_CALL_OK) return was_done(a, r->status, why) ? PROTECTION_DONE : PROTECTION_REFUSED;
    buf_add_str(why, r->reason);
    return r->outcome == HTTP_CALL_NOT_CONNECTED ? PROTECTION_REFUSED : PROTECTION_UNKNOWN;
}

/* Logs the first failure and the next success, not each retry. */
static void log_failing(struct ecs_agent *a, bool failed, const char *why)
{
    if (failed && !a->failing) log_warn("the ECS agent does not change this task's protection", LOG_STR("reason", why));
    if (!failed && a->failing) log_info("the ECS agent changes this task's protection again");
    a->failing = failed;
}

static void on_end(void *data, const struct http_call_result *result)
{
    struct ecs_agent *a = data;
    struct buf why = {0};
    enum protection_answer answer = classify_answer(a, result, &why);
    bool on = a->protection.asking == PROTECTION_ON;
    a->call = NULL;
    protection_answered(&a->protection, answer, now_ns());
    if (answer != PROTECTION_DONE) *a->failures += 1;
    log_failing(a, answer != PROTECTION_DONE, buf_cstr(&why));
    log_debug("task protection was requested", LOG_BOOL("on", on), LOG_BOOL("done", answer == PROTECTION_DONE));
    buf_release(&why);
    step(a);
}

/* ---- the request ---- */

static size_t on_read(void *data, char *dst, size_t cap)
{
    struct ecs_agent *a = data;
    return bytes_copy_next(dst, cap, a->body, a->body_len, &a->body_sent);
}

static bool on_body(void *data, const char *bytes, size_t len)
{
    struct ecs_agent *a = data;
    return buf_add(&a->answer, bytes, len);
}

static void ask(struct ecs_agent *a, bool on)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    int len = on ? snprintf(a->body, sizeof a->body, "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":%u}", a->minutes)
                 : snprintf(a->body, sizeof a->body, "{\"ProtectionEnabled\":false}");
    a->body_len = (size_t)len;
    a->body_sent = 0;
    buf_clear(&a->answer);
    a->call = http_call_start(a->client, &(struct http_call_options){
                                             .method = "PUT",
                                             .url = a->url,
                                             .headers = headers,
                                             .body_bytes = len,
                                             .read = on_read,
                                             .on_body = on_body,
                                             .on_end = on_end,
                                             .data = a,
                                             .silence_timeout_ms = AGENT_SILENCE_MS,
                                         });
}

static void on_time(uv_timer_t *timer)
{
    step(timer->data);
}

static void step(struct ecs_agent *a)
{
    uint64_t next, now = now_ns();
    enum protection_request request = protection_next(&a->protection, now, &next);
    if (request != PROTECTION_NONE) ask(a, request == PROTECTION_ON);
    uv_timer_stop(&a->timer);
    if (next == UINT64_MAX) return;
    uv_update_time(a->timer.loop);
    uv_timer_start(&a->timer, on_time, next > now ? (next - now + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

/* ---- life ---- */

struct ecs_agent *ecs_agent_start(uv_loop_t *loop, double protection_s, double idle_s, uint64_t *failures)
{
    const char *uri = getenv("ECS_AGENT_URI");
    if (!uri || !uri[0] || protection_s <= 0) return NULL;
    struct ecs_agent *a = xcalloc(1, sizeof *a);
    struct buf url = {0};
    buf_addf(&url, "%s%s", uri, AGENT_PATH);
    a->url = xstrdup(buf_cstr(&url));
    buf_release(&url);
    buf_init(&a->answer, ANSWER_BYTES);
    a->failures = failures;
    a->minutes = (unsigned)ceil(protection_s / 60);
    a->client = http_client_new(loop, &(struct http_client_options){.receive_bytes = 16 * 1024});
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    protection_init(&a->protection, (uint64_t)(protection_s * (double)NS_PER_S), (uint64_t)(idle_s * (double)NS_PER_S),
                    now_ns());
    return a;
}

void ecs_agent_work(struct ecs_agent *a, bool working)
{
    if (!a || a->protection.working == working) return;
    protection_work(&a->protection, working, now_ns());
    step(a);
}

void ecs_agent_leave(struct ecs_agent *a)
{
    if (!a || a->leaving) return;
    a->leaving = true;
    a->leave_by_ns = now_ns() + LEAVE_PATIENCE_NS;
    protection_leave(&a->protection);
    step(a);
}

bool ecs_agent_left(const struct ecs_agent *a)
{
    return !a || !a->call || now_ns() >= a->leave_by_ns;
}

bool ecs_agent_protected(const struct ecs_agent *a)
{
    return a && protection_certain(&a->protection, now_ns());
}

static void on_closed(uv_handle_t *handle)
{
    struct ecs_agent *a = handle->data;
    buf_release(&a->answer);
    free(a->url);
    free(a);
}

void ecs_agent_stop(struct ecs_agent *a)
{
    if (!a) return;
    if (a->call) http_call_cancel(a->call);
    http_client_free(a->client);
    uv_close((uv_handle_t *)&a->timer, on_closed);
}
