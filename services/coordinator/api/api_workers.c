#include "coordinator/api/api_workers.h"

#include <arpa/inet.h>

#include "common/service/access.h"
#include "coordinator/coordinator.h"
#include "coordinator/fleet/registration.h"
#include "protocol/protocol.h"

/* A registration whose body is being read. */
struct arrival {
    struct registry *registry;
    struct buf body;
};

static const int statuses[] = {
    [REGISTRY_TAKEN] = 200,    [REGISTRY_UNAUTHORIZED] = 401, [REGISTRY_INVALID] = 400,
    [REGISTRY_CONFLICT] = 409, [REGISTRY_FULL] = 503,
};
static_assert(ARRAY_SIZE(statuses) == REGISTRY_VERDICT_COUNT, "a status for each verdict");

static void refuse(struct http_exchange *x, struct registry *r, int status, const char *why)
{
    registry_refused(r, REGISTRY_INVALID);
    http_exchange_leave_body(x);
    http_answer_problem(x, status, NULL, "%s", why);
}

/* If the coordinator has a worker token file, admits only requests with one of its tokens. A token that only admits
 * clients is refused. */
static bool admit(struct http_exchange *x, struct worker_fleet *f)
{
    if (!f->config->token_file) return true;
    if (access_classify(&f->tokens.tokens, http_exchange_header(x, "Authorization")) != ACCESS_GRANTED)
        token_file_refresh(&f->tokens); /* the worker may have read a newer version of the token file */
    if (access_classify(&f->tokens.tokens, http_exchange_header(x, "Authorization")) == ACCESS_GRANTED) return true;
    registry_refused(&f->registry, REGISTRY_UNAUTHORIZED);
    http_exchange_leave_body(x);
    http_exchange_set_header(x, "WWW-Authenticate", "Bearer realm=\"fantail workers\"");
    http_answer_problem(x, 401, NULL, "a worker must register with a token of the coordinator's --worker-token-file");
    return false;
}

static size_t on_body(struct http_exchange *x, const char *data, size_t len)
{
    struct arrival *a = http_exchange_data(x);
    if (!buf_add(&a->body, data, len) && !http_exchange_answered(x)) {
        registry_refused(a->registry, REGISTRY_INVALID);
        http_answer_problem(x, 413, NULL, "a registration may have up to %d bytes", REGISTRATION_BYTES);
    }
    return len;
}

static void on_body_end(struct http_exchange *x)
{
    struct arrival *a = http_exchange_data(x);
    struct lease_terms terms;
    struct buf answer = {0};
    char peer[INET6_ADDRSTRLEN], err[512];
    bool numeric = http_exchange_peer(x, peer, sizeof peer);
    size_t len = a->body.len;
    enum registry_verdict verdict =
        registry_take(a->registry, buf_cstr(&a->body), len, numeric ? peer : NULL, &terms, err, sizeof err);
    if (verdict != REGISTRY_TAKEN) {
        http_answer_problem(x, statuses[verdict], NULL, "%s", err);
        return;
    }
    buf_addf(&answer, "{\"renew_s\":%u,\"lease_s\":%u}\n", terms.renew_s, terms.lease_s);
    http_answer(x, 200, TYPE_JSON, answer.data, answer.len);
    buf_release(&answer);
}

static void on_closed(struct http_exchange *x, enum http_closed how)
{
    struct arrival *a = http_exchange_data(x);
    buf_release(&a->body);
    free(a);
}

static bool takes_registrations(struct http_exchange *x, struct coordinator *c)
{
    if (worker_fleet_takes_registrations(&c->config->fleet)) return true;
    refuse(x, &c->fleet.registry, 403, "workers cannot register here: start the coordinator with --register-workers");
    return false;
}

/* A worker may reach several coordinators through a balancer. The answer says which coordinator the worker has
 * reached. */
void api_show_workers(struct http_exchange *x, void *data)
{
    struct coordinator *c = data;
    char address[INET6_ADDRSTRLEN + 16];
    struct buf answer = {0};
    if (!takes_registrations(x, c) || !admit(x, &c->fleet) || !http_check_no_query(x, NULL)) return;
    buf_add_str(&answer, "{");
    if (http_exchange_reached(x, address, sizeof address)) buf_addf(&answer, "\"coordinator\":\"%s\",", address);
    buf_addf(&answer, "\"registered\":%zu,\"renew_s\":%u}\n", c->fleet.endpoints.leases.held,
             leases_terms(&c->fleet.endpoints.leases).renew_s);
    http_answer(x, 200, TYPE_JSON, answer.data, answer.len);
    buf_release(&answer);
}

/* The media type is required, because a browser lets a page of another origin send this type only after a CORS
 * preflight. */
void api_register_worker(struct http_exchange *x, void *data)
{
    static const struct http_exchange_ops ops = {.body = on_body, .body_end = on_body_end, .closed = on_closed};
    struct coordinator *c = data;
    const char *type = http_exchange_header(x, "Content-Type");
    if (!takes_registrations(x, c) || !admit(x, &c->fleet) || !http_check_no_query(x, NULL)) return;
    if (!type || strcmp(type, TYPE_JSON) != 0) {
        refuse(x, &c->fleet.registry, 415, "the Content-Type of a registration must be " TYPE_JSON);
        return;
    }
    struct arrival *a = xcalloc(1, sizeof *a);
    a->registry = &c->fleet.registry;
    buf_init(&a->body, REGISTRATION_BYTES);
    http_exchange_accept(x, &ops, a);
}
