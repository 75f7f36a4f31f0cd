#include "worker/registration/coordinators.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_MS 3000

/* A name that is resolved periodically. */
struct coordinator_name {
    struct coordinator_name *next;
    struct coordinators *owner;
    char *host, *port, *url;
    uv_timer_t timer;
    uv_getaddrinfo_t *lookup; /* NULL: none runs */
};

enum kind { ONE_COORDINATOR, NAME, BALANCER };

static const struct {
    const char *text, *scheme;
    enum kind kind;
} prefixes[] = {
    {"http://", "http", ONE_COORDINATOR},
    {"https://", "https", ONE_COORDINATOR},
    {"dns://", "http", NAME},
    {"dns+https://", "https", NAME},
    {"balancer://", "http", BALANCER},
    {"balancer+https://", "https", BALANCER},
};

/* Returns the index of the prefix with which the text begins; ARRAY_SIZE(prefixes) if there is none. */
static size_t prefix_of(const char *text)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(prefixes) && strncmp(text, prefixes[i].text, strlen(prefixes[i].text)) != 0) i++;
    return i;
}

/* Returns whether the text is "host:port" or "[v6]:port". */
static bool is_host_port(const char *text, size_t len)
{
    size_t host = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":,");
    unsigned port = 0;
    if (host == 0 || host + 1 >= len || text[host] != ':' || len - host > 6) return false;
    for (size_t i = host + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port > 0 && port <= 65535 && strcspn(text, "/?#@ \t") >= len;
}

bool coordinators_check(const char *text, char *err, size_t err_size)
{
    for (const char *at = text;;) {
        size_t prefix = prefix_of(at), len = strcspn(at, ",");
        size_t skip = prefix < ARRAY_SIZE(prefixes) ? strlen(prefixes[prefix].text) : 0;
        if (!skip || !is_host_port(at + skip, len - skip)) {
            snprintf(err, err_size,
                     "'%.*s' is not http://host:port, dns://name:port or balancer://name:port, or https://, "
                     "dns+https:// or balancer+https://",
                     (int)len, at);
            return false;
        }
        at += len;
        if (!*at) return true;
        at++;
    }
}

bool coordinators_use_tls(const char *text)
{
    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t prefix = prefix_of(at);
        if (prefix < ARRAY_SIZE(prefixes) && strcmp(prefixes[prefix].scheme, "https") == 0) return true;
    }
    return false;
}

bool coordinators_is_address(const char *text)
{
    unsigned char ip[sizeof(struct in6_addr)];
    char host[INET6_ADDRSTRLEN];
    size_t len = strlen(text);
    if (!is_host_port(text, len)) return false;
    bool v6 = text[0] == '[';
    const char *colon = strrchr(text, ':');
    int host_len = (int)(colon - text) - 2 * v6;
    if (host_len >= (int)sizeof host) return false;
    snprintf(host, sizeof host, "%.*s", host_len, text + v6);
    return inet_pton(v6 ? AF_INET6 : AF_INET, host, ip) == 1;
}

static void report(struct coordinator_name *n, const struct addrinfo *addresses)
{
    const struct coordinators *c = n->owner;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        char ip[NI_MAXHOST], address[NI_MAXHOST + 10];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, NULL, 0, NI_NUMERICHOST) != 0) continue;
        bool v6 = a->ai_family == AF_INET6;
        snprintf(address, sizeof address, "%s%s%s:%s", v6 ? "[" : "", ip, v6 ? "]" : "", n->port);
        c->ops->found(c->data, n->url, address);
    }
}

/* If a name server fails or returns no address, each known address is kept until its coordinator no longer answers. */
static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct coordinator_name *n = lookup->data;
    free(lookup);
    if (n) n->lookup = NULL;
    if (n && status == 0) report(n, addresses);
    uv_freeaddrinfo(addresses);
}

static void look_up(uv_timer_t *timer)
{
    struct coordinator_name *n = timer->data;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (n->lookup) return;
    n->lookup = xcalloc(1, sizeof *n->lookup);
    n->lookup->data = n;
    if (uv_getaddrinfo(timer->loop, n->lookup, on_resolved, n->host, NULL, &hints) == 0) return;
    free(n->lookup);
    n->lookup = NULL;
}

static void add_name(struct coordinators *c, const char *url, const char *host_port)
{
    struct coordinator_name *n = xcalloc(1, sizeof *n);
    const char *colon = strrchr(host_port, ':');
    n->owner = c;
    n->url = xstrdup(url);
    n->host = host_port[0] == '[' ? xstrndup(host_port + 1, (size_t)(colon - host_port) - 2)
                                  : xstrndup(host_port, (size_t)(colon - host_port));
    n->port = xstrdup(colon + 1);
    n->next = c->names;
    c->names = n;
    uv_timer_init(c->loop, &n->timer);
    n->timer.data = n;
    uv_timer_start(&n->timer, look_up, 0, LOOKUP_MS);
}

static void add(struct coordinators *c, const char *text, size_t len)
{
    size_t prefix = prefix_of(text), skip = strlen(prefixes[prefix].text);
    char host_port[300], url[320];
    snprintf(host_port, sizeof host_port, "%.*s", (int)(len - skip), text + skip);
    snprintf(url, sizeof url, "%s://%s", prefixes[prefix].scheme, host_port);
    switch (prefixes[prefix].kind) {
    case ONE_COORDINATOR: c->ops->found(c->data, url, NULL); break;
    case NAME: add_name(c, url, host_port); break;
    case BALANCER: c->ops->balancer(c->data, url); break;
    }
}

void coordinators_start(struct coordinators *c, uv_loop_t *loop, const char *text, const struct coordinators_ops *ops,
                        void *data)
{
    *c = (struct coordinators){.loop = loop, .ops = ops, .data = data};
    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        add(c, at, strcspn(at, ","));
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct coordinator_name *n = handle->data;
    free(n->host);
    free(n->port);
    free(n->url);
    free(n);
}

void coordinators_stop(struct coordinators *c)
{
    for (struct coordinator_name *n = c->names, *next; n; n = next) {
        next = n->next;
        if (n->lookup) {
            n->lookup->data = NULL;
            uv_cancel((uv_req_t *)n->lookup);
        }
        uv_close((uv_handle_t *)&n->timer, on_closed);
    }
    *c = (struct coordinators){0};
}
