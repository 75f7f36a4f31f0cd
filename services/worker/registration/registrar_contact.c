#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/json_walk.h"
#include "common/observe/log.h"
#include "protocol/protocol.h"
#include "worker/registration/registrar_internal.h"

enum {
    ANSWER_MS = 2000,   /* a coordinator that is silent for longer counts as lost */
    RETRY_MIN_MS = 250, /* delay after the first failure; doubles with each failure */
    RETRY_MAX_MS = 2000,
    GIVE_UP_AFTER = 5, /* an unnamed address is dropped after this many failures in a row */
    UNNAMED_S = 15,    /* an address is unnamed if no source has named it for this time */
    LOOK_MS = 200,     /* delay between requests to a balancer while coordinators may be unknown */
    LOOK_TIMES = 6,    /* after this many answers in a row from known coordinators, no unknown one is expected */
    GOODBYE_MS = 1000, /* how long a shutdown waits for the goodbyes */
    RENEW_MAX_S = 3600,
};

const char *const registering_names[REGISTERING_COUNT] = {
    [REGISTERING_OK] = "ok", [REGISTERING_REFUSED] = "refused", [REGISTERING_FAILED] = "failed"};

static const char *const contact_states[] = {
    [CONTACT_NEW] = "new", [CONTACT_HELD] = "held", [CONTACT_LOST] = "lost", [CONTACT_LEFT] = "left"};
static_assert(ARRAY_SIZE(contact_states) == CONTACT_STATE_COUNT, "a name for each state");

static void contact_move(struct contact *c, enum contact_state to)
{
    if (c->state == to) return;
    log_debug("registration moved", LOG_STR("url", c->url), LOG_STR("address", c->connect_to),
              LOG_STR("from", contact_states[c->state]), LOG_STR("to", contact_states[to]));
    c->state = to;
}

static void on_contact_closed(uv_handle_t *handle)
{
    struct contact *c = handle->data;
    buf_release(&c->answer);
    free(c->url);
    free(c->connect_to);
    free(c);
}

void contact_stop(struct contact *c)
{
    if (c->call) http_call_cancel(c->call);
    c->call = NULL;
    uv_timer_stop(&c->timer);
}

void contact_close(struct contact *c)
{
    contact_stop(c);
    uv_close((uv_handle_t *)&c->timer, on_contact_closed);
}

static void contact_drop(struct contact *c)
{
    struct contact **link = &c->registrar->contacts;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    log_info("a coordinator is gone", LOG_STR("url", c->url), LOG_STR("address", c->connect_to));
    contact_close(c);
}

static void on_timer(uv_timer_t *timer)
{
    contact_ask(timer->data);
}

/* Starts the timer with a random time between 80 and 100 % of `ms`, because otherwise workers that started together
 * would always register together. */
static void contact_wait(struct contact *c, double ms)
{
    uv_update_time(c->registrar->loop);
    uv_timer_start(&c->timer, on_timer, (uint64_t)(ms * (0.8 + 0.2 * random_unit(&c->registrar->random))), 0);
}

/* Logs a fault only if it differs from the last logged fault. */
static void contact_fault(struct contact *c, const char *what, const char *why)
{
    if (strcmp(c->fault, why) == 0) return;
    snprintf(c->fault, sizeof c->fault, "%s", why);
    log_error(what, LOG_STR("url", c->url), LOG_STR("address", c->connect_to), LOG_STR("error", why));
}

/* Returns a member of the answer; its length is 0 if the answer has no such member. */
static struct json_slice answer_member(const struct contact *c, const char *wanted)
{
    struct json_walk walk;
    struct json_slice name, value, found = {0};
    if (json_walk_init_checked(&walk, c->answer.data, c->answer.len))
        while (json_walk_next(&walk, &name, &value))
            if (name.len && json_string_is(name, wanted)) found = value;
    return found;
}

static uint64_t renew_ms(const struct contact *c)
{
    struct json_slice value = answer_member(c, "renew_s");
    unsigned long seconds = value.len && value.len < 10 ? strtoul(value.data, NULL, 10) : 0;
    if (seconds < 1) seconds = 1;
    return (seconds < RENEW_MAX_S ? seconds : RENEW_MAX_S) * 1000;
}

static void contact_held(struct contact *c)
{
    ++*c->registrar->results[REGISTERING_OK];
    if (c->state != CONTACT_HELD)
        log_info("registered with a coordinator", LOG_STR("url", c->url), LOG_STR("address", c->connect_to));
    contact_move(c, CONTACT_HELD);
    c->failures = 0;
    c->refused = 0;
    c->fault[0] = '\0';
    contact_wait(c, (double)renew_ms(c));
}

void contact_look(struct contact *c)
{
    c->known_n = 0;
    if (!c->call && c->state == CONTACT_HELD) contact_wait(c, LOOK_MS);
}

/* The answer names the coordinator that the balancer has chosen. */
static void contact_found(struct contact *c)
{
    struct buf address = {0};
    bool named = json_string_decode(answer_member(c, "coordinator"), &address);
    if (!named || !coordinators_is_address(buf_cstr(&address))) {
        contact_fault(c, "a coordinator behind a balancer does not state its address", buf_cstr(&c->answer));
    } else {
        c->known_n = registrar_found(c->registrar, c->url, buf_cstr(&address)) ? 0 : c->known_n + 1;
        c->fault[0] = '\0';
    }
    buf_release(&address);
    contact_move(c, CONTACT_HELD);
    c->failures = 0;
    c->refused = 0;
    contact_wait(c, named && c->known_n < LOOK_TIMES ? (double)LOOK_MS : (double)renew_ms(c));
}

static void contact_retry(struct contact *c)
{
    unsigned doubled = c->failures < 4 ? c->failures : 4;
    double ms = RETRY_MIN_MS << doubled;
    bool unnamed = c->connect_to && now_ns() - c->named_ns > UNNAMED_S * NS_PER_S;
    if (c->state == CONTACT_HELD && !c->finds) registrar_look(c->registrar);
    contact_move(c, CONTACT_LOST);
    c->failures++;
    if (unnamed && c->failures >= GIVE_UP_AFTER)
        contact_drop(c);
    else
        contact_wait(c, ms < (double)RETRY_MAX_MS ? ms : (double)RETRY_MAX_MS);
}

/* Tries the next token immediately. If all tokens were refused, logs a fault and tries again later. */
static void contact_refused(struct contact *c)
{
    size_t count = c->registrar->tokens.tokens.count;
    if (!c->finds) ++*c->registrar->results[REGISTERING_REFUSED];
    token_file_refresh(&c->registrar->tokens);
    c->token++;
    c->refused++;
    if (c->refused < count) {
        contact_ask(c);
        return;
    }
    c->refused = 0;
    contact_fault(c, "a coordinator refuses our registration",
                  count ? "the coordinator knows none of our tokens; one must be in its --worker-token-file"
                        : "the coordinator asks for a token, and there is no --token-file");
    contact_retry(c);
}

/* If there is an answer, it is a problem document. */
static void contact_failed(struct contact *c, const struct http_call_result *r)
{
    char why[sizeof c->fault];
    if (!c->finds) ++*c->registrar->results[REGISTERING_FAILED];
    if (r->outcome != HTTP_CALL_OK)
        snprintf(why, sizeof why, "%s", r->reason);
    else
        snprintf(why, sizeof why, "status %d: %.*s", r->status, (int)strcspn(buf_cstr(&c->answer), "\n"),
                 buf_cstr(&c->answer));
    contact_fault(c, "this worker could not register with a coordinator", why);
    contact_retry(c);
}

static void contact_left(struct contact *c)
{
    struct registrar *r = c->registrar;
    contact_move(c, CONTACT_LEFT);
    if (registrar_left(r)) r->facts.left(r->facts.data);
}

static void on_end(void *data, const struct http_call_result *r)
{
    struct contact *c = data;
    c->call = NULL;
    if (c->says_goodbye) {
        contact_left(c);
    } else if (c->registrar->leaving) {
        contact_ask(c);
    } else if (c->finds && r->outcome == HTTP_CALL_OK && r->status == 200) {
        contact_found(c);
    } else if (r->outcome == HTTP_CALL_OK && r->status == 200) {
        contact_held(c);
        if (c->again) contact_ask(c);
    } else if (r->outcome == HTTP_CALL_OK && r->status == 401) {
        contact_refused(c);
    } else {
        contact_failed(c, r);
    }
}

static size_t on_read(void *data, char *dst, size_t cap)
{
    struct contact *c = data;
    return bytes_copy_next(dst, cap, c->body, c->body_len, &c->body_sent);
}

static bool on_body(void *data, const char *bytes, size_t len)
{
    return buf_add(&((struct contact *)data)->answer, bytes, len);
}

static void write_body(struct contact *c)
{
    const struct registrar *r = c->registrar;
    char etag[64];
    struct buf b;
    buf_init(&b, sizeof c->body);
    r->facts.write_etag(r->facts.data, etag, sizeof etag);
    buf_add_str(&b, "{\"worker\":");
    buf_add_json_string(&b, r->facts.worker, strlen(r->facts.worker));
    buf_addf(&b, ",\"port\":%u,\"version\":\"%s\",\"tasks\":", r->facts.port, FANTAIL_VERSION);
    buf_add_json_string(&b, etag, strlen(etag));
    if (r->address[0]) buf_addf(&b, ",\"address\":\"%s\"", r->address);
    buf_addf(&b, ",\"leaving\":%s}", r->leaving ? "true" : "false");
    memcpy(c->body, b.data, b.len);
    c->body_len = b.len;
    c->body_sent = 0;
    buf_release(&b);
}

void contact_ask(struct contact *c)
{
    struct registrar *r = c->registrar;
    char url[400], authorization[LIMIT_TOKEN_BYTES + 40];
    /* Some balancers choose a coordinator once per connection, not once per request. So each request to a balancer uses
     * a new connection. */
    const char *headers[] = {c->finds ? "Connection: close" : "Content-Type: " TYPE_JSON, NULL, NULL};
    const struct tokens *tokens = &r->tokens.tokens;
    c->again = false;
    c->says_goodbye = r->leaving;
    if (!c->finds) write_body(c);
    buf_clear(&c->answer);
    snprintf(url, sizeof url, "%s" PATH_WORKERS, c->url);
    if (tokens->count) {
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s",
                 tokens->list[c->token % tokens->count]);
        headers[1] = authorization;
    }
    uv_timer_stop(&c->timer);
    c->call = http_call_start(r->client, &(struct http_call_options){
                                             .method = c->finds ? "GET" : "POST",
                                             .url = url,
                                             .connect_to = c->connect_to,
                                             .headers = headers,
                                             .body_bytes = (int64_t)c->body_len,
                                             .read = on_read,
                                             .on_body = on_body,
                                             .on_end = on_end,
                                             .data = c,
                                             .connect_timeout_ms = ANSWER_MS,
                                             .silence_timeout_ms = ANSWER_MS,
                                         });
    explicit_bzero(authorization, sizeof authorization);
}
