#include "cli/ssh/ssh_target.h"

static bool refuse(const char *name, size_t len, const char *why, char *err, size_t err_size)
{
    snprintf(err, err_size, "'%.*s' %s", (int)(len < SSH_NAME_BYTES ? len : SSH_NAME_BYTES), name, why);
    return false;
}

/* Returns what is wrong with the name, or NULL. The name becomes an argument of ssh, and the id of a worker. */
static const char *word_fault(const char *name, size_t len)
{
    if (len == 0) return "is not a host, as in user@host:22";
    if (len > SSH_NAME_BYTES) return "is too long";
    if (name[0] == '-') return "is not a host, because it begins with -";
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~') return "is not a host: use printable ASCII characters without blanks";
    return NULL;
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 5 && strspn(text, "0123456789") == len && strtoul(text, NULL, 10) >= 1 &&
           strtoul(text, NULL, 10) <= UINT16_MAX;
}

/* Returns the colon before the port, or NULL. An address of IPv6 without brackets has several colons, and no port. */
static char *port_colon(char *address)
{
    char *end = address[0] == '[' ? strchr(address, ']') : NULL, *colon = strchr(address, ':');
    if (end) return end[1] == ':' ? end + 1 : NULL;
    return colon && !strchr(colon + 1, ':') ? colon : NULL;
}

/* Removes the brackets around the address. Returns false if they do not surround it. */
static bool strip_brackets(char *address)
{
    size_t len = strlen(address);
    if (address[0] != '[') return true;
    if (len < 3 || address[len - 1] != ']') return false;
    memmove(address, address + 1, len - 2);
    address[len - 2] = '\0';
    return true;
}

static bool read_one(struct ssh_target *t, const char *name, size_t len, char *err, size_t err_size)
{
    const char *fault = word_fault(name, len);
    if (fault) return refuse(name, len, fault, err, err_size);
    t->name = xstrndup(name, len);
    t->host = xstrndup(name, len);
    char *at = strrchr(t->host, '@'), *address = at ? at + 1 : t->host, *colon = port_colon(address);
    if (colon) {
        *colon = '\0';
        t->port = xstrdup(colon + 1);
        if (!is_port(t->port))
            return refuse(name, len, "has a port that is not a number from 1 to 65535", err, err_size);
    }
    if (at == t->host || !strip_brackets(address) || !address[0] || address[0] == '-')
        return refuse(name, len, "is not a host, as in user@host:22", err, err_size);
    return true;
}

static bool is_twice(const struct ssh_targets *t)
{
    for (size_t i = 0; i + 1 < t->count; i++)
        if (strcmp(t->list[i].name, t->list[t->count - 1].name) == 0) return true;
    return false;
}

bool ssh_targets_read(struct ssh_targets *t, const char *text, char *err, size_t err_size)
{
    *t = (struct ssh_targets){.list = xcalloc(SSH_MAX_HOSTS, sizeof *t->list)};
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        if (t->count == SSH_MAX_HOSTS)
            return refuse(at, len, "is one host too many: at most " TEXT_OF(SSH_MAX_HOSTS) " are possible", err,
                          err_size);
        if (!read_one(&t->list[t->count++], at, len, err, err_size)) return false;
        if (is_twice(t))
            return refuse(at, len, "is in the list twice; --processes sets how many items run there", err, err_size);
        at += len;
        if (!*at) return true;
    }
}

void ssh_targets_release(struct ssh_targets *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->list[i].name);
        free(t->list[i].host);
        free(t->list[i].port);
    }
    free(t->list);
    *t = (struct ssh_targets){0};
}
