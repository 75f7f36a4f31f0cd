#include "worker/registration/registrar.h"

#include <stdlib.h>
#include <string.h>

#include "common/observe/metrics.h"
#include "worker/registration/registrar_internal.h"

enum {
    GOODBYE_MS = 1000, /* how long a shutdown waits for the goodbyes */
    ANSWER_BYTES = 4096,
};

/* ---- the coordinators ---- */

static void add(struct registrar *r, const char *url, const char *connect_to, bool finds)
{
    struct contact *c = xcalloc(1, sizeof *c);
    *c = (struct contact){.next = r->contacts, .registrar = r, .url = xstrdup(url), .finds = finds};
    if (connect_to) c->connect_to = xstrdup(connect_to);
    c->named_ns = now_ns();
    buf_init(&c->answer, ANSWER_BYTES);
    r->contacts = c;
    uv_timer_init(r->loop, &c->timer);
    c->timer.data = c;
    contact_ask(c);
}

/* A coordinator may be found twice, for example by a name and through a balancer. */
static struct contact *find(struct registrar *r, const char *url, const char *connect_to)
{
    for (struct contact *c = r->contacts; c; c = c->next) {
        if (c->finds || !c->connect_to != !connect_to) continue;
        if (strcmp(connect_to ? c->connect_to : c->url, connect_to ? connect_to : url) == 0) return c;
    }
    return NULL;
}

bool registrar_found(struct registrar *r, const char *url, const char *connect_to)
{
    struct contact *known = find(r, url, connect_to);
    if (known) known->named_ns = now_ns();
    if (known || r->leaving) return false;
    add(r, url, connect_to, false);
    return true;
}

static void on_found(void *data, const char *url, const char *connect_to)
{
    (void)registrar_found(data, url, connect_to);
}

static void on_balancer(void *data, const char *url)
{
    add(data, url, NULL, true);
}

static const struct coordinators_ops ops = {.found = on_found, .balancer = on_balancer};

void registrar_look(struct registrar *r)
{
    for (struct contact *c = r->contacts; c; c = c->next)
        if (c->finds) contact_look(c);
}

/* ---- life ---- */

unsigned registrar_held(const struct registrar *r)
{
    unsigned n = 0;
    for (const struct contact *c = r ? r->contacts : NULL; c; c = c->next) n += !c->finds && c->state == CONTACT_HELD;
    return n;
}

bool registrar_start(struct registrar **out, uv_loop_t *loop, const struct registrar_config *config,
                     const struct registrar_facts *facts, char *err, size_t err_size)
{
    uint64_t *results[REGISTERING_COUNT];
    metric_counters("fantail_registrations_total", "Registrations with coordinators, by result.", "result",
                    registering_names, REGISTERING_COUNT, results);
    *out = NULL;
    if (!config->coordinators) return true;
    struct registrar *r = xcalloc(1, sizeof *r);
    *r = (struct registrar){.loop = loop, .config = config, .facts = *facts, .random = {now_ns()}};
    if (!registrar_open_files(r, err, err_size)) {
        registrar_stop(r);
        return false;
    }
    memcpy(r->results, results, sizeof results);
    registrar_choose_address(r);
    r->client = http_client_new(loop, &(struct http_client_options){.receive_bytes = 16 * 1024, .tls = &r->tls});
    coordinators_start(&r->coordinators, loop, config->coordinators, &ops, r);
    *out = r;
    return true;
}

void registrar_renew(struct registrar *r)
{
    if (!r || r->leaving) return;
    for (struct contact *c = r->contacts; c; c = c->next) {
        if (c->finds || c->state != CONTACT_HELD) continue;
        if (c->call)
            c->again = true;
        else
            contact_ask(c);
    }
}

void registrar_reload(struct registrar *r)
{
    if (!r) return;
    token_file_reload(&r->tokens);
    tls_store_reload(&r->tls);
}

/* If a call to a coordinator is running, the goodbye is sent after the call has ended. So the goodbye is the last
 * request that the coordinator gets. */
void registrar_leave(struct registrar *r)
{
    if (!r || r->leaving) return;
    r->leaving = true;
    r->leave_by_ns = now_ns() + GOODBYE_MS * NS_PER_MS;
    for (struct contact *c = r->contacts; c; c = c->next) {
        uv_timer_stop(&c->timer);
        if (c->finds)
            contact_stop(c);
        else if (!c->call && c->state == CONTACT_HELD)
            contact_ask(c);
    }
}

bool registrar_left(const struct registrar *r)
{
    if (!r || now_ns() >= r->leave_by_ns) return true;
    for (const struct contact *c = r->contacts; c; c = c->next)
        if (c->call) return false;
    return true;
}

void registrar_stop(struct registrar *r)
{
    if (!r) return;
    coordinators_stop(&r->coordinators);
    for (struct contact *c = r->contacts, *next; c; c = next) {
        next = c->next;
        contact_close(c);
    }
    http_client_free(r->client);
    tls_store_release(&r->tls);
    token_file_stop(&r->tokens);
    token_file_release(&r->tokens);
    free(r);
}
