#include "coordinator/fleet/endpoints.h"

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/net/unix_address.h"
#include "coordinator/fleet/endpoints_internal.h"

struct prefix {
    const char *text;
    enum endpoints_mode mode;
    const char *scheme; /* scheme of the URLs */
};

static const struct prefix prefixes[] = {
    {"static://", ENDPOINTS_STATIC, "http"},
    {"static+https://", ENDPOINTS_STATIC, "https"},
    {"http://", ENDPOINTS_BALANCER, "http"},
    {"https://", ENDPOINTS_BALANCER, "https"},
    {"dns://", ENDPOINTS_DNS, "http"},
    {"dns+https://", ENDPOINTS_DNS, "https"},
    {"register://", ENDPOINTS_REGISTERED, "http"},
    {"register+https://", ENDPOINTS_REGISTERED, "https"},
};

/* Returns the length of the "host:port" or "[v6]:port" at the start of text, up to a comma or the end. Returns 0 if the
 * text does not begin with such an address. */
static size_t host_port_length(const char *text)
{
    size_t len = strcspn(text, ",");
    size_t host = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":,");
    if (host == 0 || host + 1 >= len || text[host] != ':') return 0;
    unsigned port = 0;
    for (size_t i = host + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
        if (port > 65535) return 0;
    }
    if (strcspn(text, "/?#@ \t") < len) return 0;
    return port ? len : 0;
}

/* Returns the length of the "unix:/path/of/a/socket" at the start of text, or 0 when there is none. */
static size_t socket_length(const char *text)
{
    const char *path = unix_address_path(text);
    size_t path_len = path ? strcspn(path, ",") : 0;
    return path_len && path_len <= UNIX_PATH_BYTES && path[0] == '/' ? (size_t)(path - text) + path_len : 0;
}

/* Returns the length of the address at the start of text. The address of a Unix-domain socket is allowed only in a
 * static list without TLS. */
static size_t address_length(const struct prefix *p, const char *text)
{
    bool takes_sockets = p->mode == ENDPOINTS_STATIC && strcmp(p->scheme, "http") == 0;
    size_t len = takes_sockets ? socket_length(text) : 0;
    return len ? len : host_port_length(text);
}

/* Writes why text does not begin with an address. */
static void explain_address(const struct prefix *p, const char *text, char *err, size_t err_size)
{
    const char *path = unix_address_path(text);
    if (!path)
        snprintf(err, err_size, "'%s' is not host:port, as in %s%s", text, p->text,
                 p->mode == ENDPOINTS_STATIC ? "10.0.0.7:8081,10.0.0.8:8081" : "workers:8081");
    else if (p->mode != ENDPOINTS_STATIC || strcmp(p->scheme, "http") != 0)
        snprintf(err, err_size, "'%s': unix:PATH is allowed only after static://", text);
    else if (path[0] != '/')
        snprintf(err, err_size, "'%s': the path of a socket must begin with /", text);
    else
        snprintf(err, err_size, "'%s': the path of a socket has at most %zu bytes", text, UNIX_PATH_BYTES);
}

static bool check_list(const struct prefix *p, const char *list, char *err, size_t err_size)
{
    for (const char *at = list;;) {
        size_t len = address_length(p, at);
        if (!len) {
            explain_address(p, at, err, err_size);
            return false;
        }
        at += len;
        if (!*at) return true;
        if (p->mode != ENDPOINTS_STATIC) {
            snprintf(err, err_size, "a single name:port was expected, not a list: '%s'", list);
            return false;
        }
        at++;
    }
}

/* Without TLS, nothing may follow register://. With TLS, the name in the workers' certificates must follow
 * register+https://. */
static bool check_register(const struct prefix *p, const char *name, char *err, size_t err_size)
{
    bool tls = strcmp(p->scheme, "https") == 0;
    if (tls ? *name && !name[strcspn(name, ":/,?#@ \t")] : !*name) return true;
    snprintf(err, err_size,
             tls ? "the name in the workers' certificates must follow register+https://, not '%s'"
                 : "'%s' must not follow register://",
             name);
    return false;
}

/* Returns the prefix of the text; NULL when the prefix is unknown. */
static const struct prefix *find_prefix(const char *workers)
{
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(workers, prefixes[i].text, strlen(prefixes[i].text)) == 0) return &prefixes[i];
    return NULL;
}

bool endpoints_check(const char *workers, char *err, size_t err_size)
{
    const struct prefix *p = find_prefix(workers);
    if (!p) {
        snprintf(err, err_size,
                 "'%s' does not start with static://, http://, dns:// or register://, or static+https://, https://, "
                 "dns+https:// or register+https://",
                 workers);
        return false;
    }
    const char *rest = workers + strlen(p->text);
    return p->mode == ENDPOINTS_REGISTERED ? check_register(p, rest, err, err_size)
                                           : check_list(p, rest, err, err_size);
}

enum endpoints_mode endpoints_mode(const char *workers)
{
    const struct prefix *p = find_prefix(workers);
    return p ? p->mode : ENDPOINTS_STATIC;
}

bool endpoints_use_tls(const char *workers)
{
    const struct prefix *p = find_prefix(workers);
    return p && strcmp(p->scheme, "https") == 0;
}

bool endpoints_are_socket_files(const char *workers)
{
    const struct prefix *p = find_prefix(workers);
    if (!p || strcmp(p->text, "static://") != 0) return false;
    const char *at = workers + strlen(p->text);
    while (unix_address_path(at)) {
        at = strchrnul(at, ',');
        if (*at == '\0') return true;
        at++;
    }
    return false;
}

static const char *address_of(const struct endpoint *one)
{
    const char *host = strstr(one->url, "://");
    return one->connect_to ? one->connect_to : host + strlen("://");
}

struct endpoint *endpoint_find(struct endpoints *e, const char *address)
{
    uint64_t hash = hash_text(address);
    for (struct hash_link *at = NULL; (at = hash_find(&e->by_address, hash, at));) {
        struct endpoint *one = CONTAINER_OF(at, struct endpoint, by_address);
        if (strcmp(address_of(one), address) == 0) return one;
    }
    return NULL;
}

void endpoint_add(struct endpoints *e, const char *url, const char *connect_to, bool leased)
{
    struct endpoint *one = xcalloc(1, sizeof *one);
    one->url = xstrdup(url);
    one->connect_to = connect_to ? xstrdup(connect_to) : NULL;
    one->leased = leased;
    one->listed = !leased;
    one->next = e->list;
    one->prev = &e->list;
    if (one->next) one->next->prev = &one->next;
    e->list = one;
    hash_add(&e->by_address, &one->by_address, hash_text(address_of(one)));
    e->count++;
    one->owner = e->ops->added(e->data, one);
}

static void add(struct endpoints *e, const char *url, const char *connect_to)
{
    endpoint_add(e, url, connect_to, false);
}

void endpoint_drop(struct endpoints *e, struct endpoint *one)
{
    *one->prev = one->next;
    if (one->next) one->next->prev = one->prev;
    hash_remove(&e->by_address, &one->by_address);
    e->count--;
    e->ops->removed(e->data, one);
    free(one->url);
    free(one->connect_to);
    free(one);
}

static void add_socket(struct endpoints *e, const char *address, size_t len)
{
    char *connect_to = xstrndup(address, len);
    add(e, "http://localhost", connect_to);
    free(connect_to);
}

static void add_host(struct endpoints *e, const char *host_port, size_t len)
{
    struct buf url = {0};
    buf_addf(&url, "%s://%.*s", e->scheme, (int)len, host_port);
    add(e, buf_cstr(&url), NULL);
    buf_release(&url);
}

static void add_static(struct endpoints *e, const struct prefix *p, const char *list)
{
    for (const char *at = list; *at;) {
        size_t len = address_length(p, at);
        if (unix_address_path(at))
            add_socket(e, at, len);
        else
            add_host(e, at, len);
        at += len + (at[len] == ',');
    }
}

bool endpoints_start(struct endpoints *e, uv_loop_t *loop, const char *workers, uint64_t refresh_ms,
                     const struct endpoints_ops *ops, void *data, char *err, size_t err_size)
{
    *e = (struct endpoints){.loop = loop, .refresh_ms = refresh_ms, .ops = ops, .data = data};
    if (!endpoints_check(workers, err, err_size)) return false;
    const struct prefix *p = find_prefix(workers);
    const char *rest = workers + strlen(p->text);
    e->mode = p->mode;
    e->scheme = p->scheme;
    switch (e->mode) {
    case ENDPOINTS_STATIC: add_static(e, p, rest); break;
    case ENDPOINTS_BALANCER: add(e, workers, NULL); break;
    case ENDPOINTS_DNS: endpoints_start_lookups(e, rest); break;
    case ENDPOINTS_REGISTERED: e->name = *rest ? xstrdup(rest) : NULL; break;
    }
    return true;
}

void endpoints_stop(struct endpoints *e)
{
    while (e->list) endpoint_drop(e, e->list);
    hash_release(&e->by_address);
    if (e->timer) uv_close((uv_handle_t *)e->timer, (uv_close_cb)free);
    if (e->lookup) {
        e->lookup->data = NULL;
        uv_cancel((uv_req_t *)e->lookup);
    }
    leases_release(&e->leases);
    free(e->name);
    free(e->port);
    *e = (struct endpoints){0};
}
