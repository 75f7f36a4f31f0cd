#include "coordinator/notify/notify_hosts.h"

#include <stdio.h>

#include "common/base/buf.h"

static bool is_host_char(char c, bool is_v6)
{
    bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (is_v6) return is_hex || c == ':' || c == '.';
    return is_hex || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

/* Returns the length of the host at the beginning of the text; 0 if there is none. */
static size_t host_length(const char *text, size_t len)
{
    bool is_v6 = len > 0 && text[0] == '[';
    size_t n = is_v6 ? 1 : 0;
    while (n < len && is_host_char(text[n], is_v6)) n++;
    if (!is_v6) return n;
    return n > 1 && n < len && text[n] == ']' ? n + 1 : 0;
}

static bool read_port(const char *text, size_t len, unsigned *port)
{
    unsigned n = 0;
    if (len == 0 || len > 5) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    *port = n;
    return n > 0 && n <= 65535;
}

/* Reads HOST or HOST:PORT. */
static bool read_authority(struct notify_target *t, const char *text, size_t len)
{
    size_t n = host_length(text, len);
    if (n == 0 || n >= sizeof t->host) return false;
    for (size_t i = 0; i < n; i++) t->host[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    t->host[n] = '\0';
    t->port = t->is_tls ? 443 : 80;
    return n == len || (text[n] == ':' && read_port(text + n + 1, len - n - 1, &t->port));
}

/* Returns the text after the scheme. If the text has no scheme, sets the scheme of `t` to https. */
static const char *skip_scheme(struct notify_target *t, const char *text)
{
    static const char http[] = "http://", https[] = "https://";
    t->is_tls = strncmp(text, http, sizeof http - 1) != 0;
    if (!t->is_tls) return text + sizeof http - 1;
    return strncmp(text, https, sizeof https - 1) == 0 ? text + sizeof https - 1 : text;
}

static bool is_same(const struct notify_target *a, const struct notify_target *b)
{
    return a->is_tls == b->is_tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool notify_hosts_allow(const struct notify_hosts *h, const struct notify_target *t)
{
    for (size_t i = 0; i < h->count; i++)
        if (is_same(&h->list[i], t)) return true;
    return false;
}

bool notify_hosts_parse(struct notify_hosts *h, const char *text, char *err, size_t err_size)
{
    *h = (struct notify_hosts){0};
    for (const char *at = text; at && *at;) {
        struct notify_target t = {0};
        size_t len = strcspn(at, ",");
        char *entry = xstrndup(at, len);
        const char *authority = skip_scheme(&t, entry);
        bool ok = read_authority(&t, authority, strlen(authority));
        if (!ok) snprintf(err, err_size, "\"%.100s\" is not a host: give HOST, HOST:PORT or http://HOST:PORT", entry);
        free(entry);
        if (!ok) {
            notify_hosts_release(h);
            return false;
        }
        h->list = xrealloc(h->list, (h->count + 1) * sizeof *h->list);
        h->list[h->count++] = t;
        at += len;
        at += *at == ',';
    }
    return true;
}

/* Refuses a URL with a backslash or a user name, because some programs would take another part of the URL for the
 * host. */
bool notify_target_parse(struct notify_target *t, const char *url, char *err, size_t err_size)
{
    *t = (struct notify_target){0};
    const char *authority = skip_scheme(t, url);
    size_t len = strcspn(authority, "/?#");
    bool ok = authority != url && !strpbrk(url, "\\#") && read_authority(t, authority, len);
    if (!ok) snprintf(err, err_size, "notify.url must be like https://HOST/PATH, without a user name or a fragment.");
    return ok;
}

void notify_hosts_release(struct notify_hosts *h)
{
    free(h->list);
    *h = (struct notify_hosts){0};
}
