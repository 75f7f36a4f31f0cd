/* The addresses of a name that is looked up again and again. */
#include <arpa/inet.h>
#include <netdb.h>

#include "common/base/buf.h"
#include "common/observe/log.h"
#include "coordinator/fleet/endpoints_internal.h"

static void add_address(struct endpoints *e, const char *connect_to)
{
    struct buf url = {0};
    buf_addf(&url, "%s://%s:%s", e->scheme, e->name, e->port);
    endpoint_add(e, buf_cstr(&url), connect_to, false);
    buf_release(&url);
}

struct found_address {
    char connect_to[INET6_ADDRSTRLEN + 16];
    bool known; /* an endpoint already has this address, or the lookup returned it twice */
};

static size_t read_addresses(const struct endpoints *e, const struct addrinfo *addresses, struct found_address *found)
{
    size_t n = 0;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        char ip[INET6_ADDRSTRLEN];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, NULL, 0, NI_NUMERICHOST) != 0) continue;
        bool v6 = a->ai_family == AF_INET6;
        snprintf(found[n++].connect_to, sizeof found->connect_to, "%s%s%s:%s", v6 ? "[" : "", ip, v6 ? "]" : "",
                 e->port);
    }
    return n;
}

static int compare_found(const void *a, const void *b)
{
    return strcmp((*(struct found_address *const *)a)->connect_to, (*(struct found_address *const *)b)->connect_to);
}

static int compare_text(const void *text, const void *one)
{
    return strcmp(text, (*(struct found_address *const *)one)->connect_to);
}

/* Sorts the addresses and moves the distinct ones to the front. Returns the number of distinct addresses. */
static size_t sort_distinct(struct found_address **sorted, size_t n)
{
    size_t distinct = 0;
    qsort(sorted, n, sizeof *sorted, compare_found);
    for (size_t i = 0; i < n; i++) {
        if (distinct && compare_found(&sorted[distinct - 1], &sorted[i]) == 0)
            sorted[i]->known = true;
        else
            sorted[distinct++] = sorted[i];
    }
    return distinct;
}

static void mark_known(struct endpoints *e, struct found_address **sorted, size_t n)
{
    for (struct endpoint *one = e->list; one; one = one->next) {
        struct found_address **at = bsearch(one->connect_to, sorted, n, sizeof *sorted, compare_text);
        one->listed = at;
        if (at) (*at)->known = true;
    }
}

static void drop_unlisted(struct endpoints *e)
{
    for (struct endpoint *one = e->list, *next; one; one = next) {
        next = one->next;
        if (!one->listed && !one->leased) endpoint_drop(e, one);
    }
}

void endpoints_update(struct endpoints *e, const struct addrinfo *addresses)
{
    size_t n = 0;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) n++;
    struct found_address *found = xcalloc(n + 1, sizeof *found), **sorted = xcalloc(n + 1, sizeof *sorted);
    n = read_addresses(e, addresses, found);
    for (size_t i = 0; i < n; i++) sorted[i] = &found[i];
    mark_known(e, sorted, sort_distinct(sorted, n));
    for (size_t i = 0; i < n; i++)
        if (!found[i].known && !leases_bar(&e->leases, found[i].connect_to)) add_address(e, found[i].connect_to);
    drop_unlisted(e);
    free(sorted);
    free(found);
}

/* The two answers mean the same: the name server has no address for the name. */
static bool has_no_address(int status)
{
    return status == UV_EAI_NONAME || status == UV_EAI_NODATA;
}

/* Records how a lookup has ended. Only a change is logged, because a lookup that fails is repeated every refresh_ms. */
static void note_lookup(struct endpoints *e, int status)
{
    if (has_no_address(status)) status = UV_EAI_NONAME;
    bool is_news = status != e->lookup_status;
    e->lookup_status = status;
    if (status == 0) e->lookup_fault[0] = '\0';
    if (!is_news) return;
    if (status == 0) {
        log_info("the name of --workers has addresses again", LOG_STR("name", e->name));
    } else if (status == UV_EAI_NONAME) {
        snprintf(e->lookup_fault, sizeof e->lookup_fault, "the name %s of --workers has no address", e->name);
        log_warn("the name of --workers has no address", LOG_STR("name", e->name));
    } else {
        snprintf(e->lookup_fault, sizeof e->lookup_fault, "the name %s of --workers cannot be looked up: %s", e->name,
                 uv_strerror(status));
        log_warn("the name of --workers cannot be looked up; the known addresses stay", LOG_STR("name", e->name),
                 LOG_STR("reason", uv_strerror(status)), LOG_U64("endpoints", e->count));
    }
}

/* If the name server fails or times out, the known addresses stay. If the name server answers "no such name", all
 * addresses of the name are removed. */
static void resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct endpoints *e = lookup->data;
    free(lookup);
    if (e) {
        e->lookup = NULL;
        note_lookup(e, status);
        if (status == 0 || has_no_address(status)) endpoints_update(e, status == 0 ? found : NULL);
    }
    uv_freeaddrinfo(found);
}

static void refresh(uv_timer_t *timer)
{
    struct endpoints *e = timer->data;
    if (e->lookup) return;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    e->lookup = xcalloc(1, sizeof *e->lookup);
    e->lookup->data = e;
    int status = uv_getaddrinfo(e->loop, e->lookup, resolved, e->name, NULL, &hints);
    if (status == 0) return;
    free(e->lookup);
    e->lookup = NULL;
    note_lookup(e, status);
}

void endpoints_start_lookups(struct endpoints *e, const char *name_port)
{
    const char *colon = strrchr(name_port, ':');
    e->name = xstrndup(name_port, (size_t)(colon - name_port));
    e->port = xstrdup(colon + 1);
    snprintf(e->lookup_fault, sizeof e->lookup_fault, "the first lookup of the name %s of --workers has not ended",
             e->name);
    e->timer = xcalloc(1, sizeof *e->timer);
    uv_timer_init(e->loop, e->timer);
    e->timer->data = e;
    uv_timer_start(e->timer, refresh, 0, e->refresh_ms);
}
