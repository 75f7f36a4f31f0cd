#include "coordinator/fleet/registration.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"
#include "common/net/loopback.h"

struct body {
    struct json_slice worker, port, address, version, tasks, leaving;
};

static const struct {
    const char *name;
    size_t offset;
} members[] = {
    {"worker", offsetof(struct body, worker)},   {"port", offsetof(struct body, port)},
    {"address", offsetof(struct body, address)}, {"version", offsetof(struct body, version)},
    {"tasks", offsetof(struct body, tasks)},     {"leaving", offsetof(struct body, leaving)},
};

static struct json_slice *member_of(struct body *b, struct json_slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (json_string_is(name, members[i].name)) return (struct json_slice *)((char *)b + members[i].offset);
    return NULL;
}

/* Finds the members of the body. Members with unknown names are skipped, because a worker of a later version may send
 * more members. */
static bool split(struct body *b, const char *text, size_t len, char *err, size_t err_size)
{
    struct json_walk walk;
    struct json_slice name, value;
    size_t offset;
    const char *why = "an object was expected";
    if (!json_valid(text, len, &offset, &why) || !json_own_check(text, len, &offset, &why) ||
        !json_walk_init(&walk, text, len) || text[strspn(text, " \t\r\n")] != '{') {
        snprintf(err, err_size, "the body cannot be read: %s", why);
        return false;
    }
    while (json_walk_next(&walk, &name, &value)) {
        struct json_slice *to = member_of(b, name);
        if (to) *to = value;
    }
    return true;
}

/* Returns whether the text is printable ASCII. Only printable ASCII may be written to logs and answers. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return true;
}

/* Reads a string into `to`. A missing member is read as "". */
static bool read_text(struct json_slice value, const char *name, char *to, size_t size, char *err, size_t err_size)
{
    struct buf text;
    to[0] = '\0';
    if (!value.data) return true;
    buf_init(&text, size - 1);
    bool good = json_string_decode(value, &text) && is_plain(text.data, text.len);
    if (good) snprintf(to, size, "%.*s", (int)text.len, text.len ? text.data : "");
    if (!good) snprintf(err, err_size, "\"%s\" must be a string of up to %zu ASCII characters", name, size - 1);
    buf_release(&text);
    return good;
}

/* Returns the port; 0: the value is not a port. In JSON, 8081.0 is the same number as 8081. */
static unsigned port_of(struct json_slice value)
{
    char text[32], *end;
    if (value.len < 1 || value.len >= sizeof text || value.data[0] < '0' || value.data[0] > '9') return 0;
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.data);
    double port = strtod(text, &end);
    return !*end && port >= 1 && port <= 65535 && port == (double)(unsigned)port ? (unsigned)port : 0;
}

static const char *v4_fault(uint32_t address)
{
    if (address >> 24 == 0) return "an unspecified address";
    if (address >> 16 == 0xA9FE) return "a link-local address";
    if (address >> 28 == 0xE) return "a multicast address";
    return address >> 28 == 0xF ? "a reserved address" : NULL;
}

/* Checks the IPv4 address in a NAT64 (RFC 6052) or 6to4 (RFC 3056) address, because a gateway may send the packets to
 * that IPv4 address. */
static const char *translated_fault(const struct in6_addr *a)
{
    static const uint8_t nat64[12] = {0, 0x64, 0xFF, 0x9B}, six_to_four[2] = {0x20, 0x02};
    uint32_t v4;
    size_t at = memcmp(a->s6_addr, nat64, sizeof nat64) == 0               ? 12
                : memcmp(a->s6_addr, six_to_four, sizeof six_to_four) == 0 ? 2
                                                                           : 0;
    if (at == 0) return NULL;
    memcpy(&v4, a->s6_addr + at, sizeof v4);
    return ntohl(v4) >> 24 == 127 ? "a loopback address" : v4_fault(ntohl(v4));
}

static const char *v6_fault(const struct in6_addr *a)
{
    if (IN6_IS_ADDR_UNSPECIFIED(a)) return "an unspecified address";
    if (IN6_IS_ADDR_LINKLOCAL(a)) return "a link-local address";
    if (IN6_IS_ADDR_MULTICAST(a)) return "a multicast address";
    return translated_fault(a);
}

/* Writes the address in canonical form. Returns what is wrong with the address; NULL if the address is acceptable. An
 * IPv4-mapped IPv6 address is treated as an IPv4 address. */
static const char *normalise(const char *text, char *out, size_t size, bool *is_v6)
{
    struct in_addr v4;
    struct in6_addr v6;
    *is_v6 = inet_pton(AF_INET6, text, &v6) == 1;
    if (*is_v6 && (IN6_IS_ADDR_V4MAPPED(&v6) || (IN6_IS_ADDR_V4COMPAT(&v6) && !IN6_IS_ADDR_LOOPBACK(&v6)))) {
        memcpy(&v4, v6.s6_addr + 12, sizeof v4);
        *is_v6 = false;
    } else if (!*is_v6 && inet_pton(AF_INET, text, &v4) != 1) {
        return "not a numeric address";
    }
    const void *binary = *is_v6 ? (const void *)&v6 : (const void *)&v4;
    if (!inet_ntop(*is_v6 ? AF_INET6 : AF_INET, binary, out, (socklen_t)size)) return "not a numeric address";
    return *is_v6 ? v6_fault(&v6) : v4_fault(ntohl(v4.s_addr));
}

static bool read_address(struct registration *r, const struct body *b, const char *peer, char *err, size_t err_size)
{
    char text[LEASE_ADDRESS_MAX], host[INET6_ADDRSTRLEN];
    bool v6;
    unsigned port = port_of(b->port);
    if (!port) {
        snprintf(err, err_size, "\"port\" must be a number from 1 to 65535");
        return false;
    }
    if (!read_text(b->address, "address", text, sizeof text, err, err_size)) return false;
    if (!text[0] && !peer) {
        snprintf(err, err_size, "\"address\" is needed, because this connection has no numeric address");
        return false;
    }
    const char *from = text[0] ? text : peer, *fault = normalise(from, host, sizeof host, &v6);
    if (!fault && is_loopback(host) && !is_loopback(peer))
        fault = "a loopback address, but the worker does not connect from a loopback address";
    if (fault) {
        snprintf(err, err_size, "the coordinator cannot send to \"%s\": it is %s", from, fault);
        return false;
    }
    snprintf(r->address, sizeof r->address, v6 ? "[%s]:%u" : "%s:%u", host, port);
    return true;
}

static bool read_leaving(struct json_slice value, bool *leaving, char *err, size_t err_size)
{
    *leaving = value.data && value.data[0] == 't';
    if (!value.data || value.data[0] == 't' || value.data[0] == 'f') return true;
    snprintf(err, err_size, "\"leaving\" must be true or false");
    return false;
}

bool registration_read(struct registration *r, const char *body, size_t len, const char *peer, char *err,
                       size_t err_size)
{
    struct body b = {0};
    *r = (struct registration){0};
    if (!split(&b, body, len, err, err_size)) return false;
    if (!read_text(b.worker, "worker", r->worker, sizeof r->worker, err, err_size) ||
        !read_text(b.version, "version", r->version, sizeof r->version, err, err_size) ||
        !read_text(b.tasks, "tasks", r->tasks, sizeof r->tasks, err, err_size) ||
        !read_address(r, &b, peer, err, err_size))
        return false;
    if (!r->worker[0]) {
        snprintf(err, err_size, "\"worker\" must be the worker's id");
        return false;
    }
    return read_leaving(b.leaving, &r->leaving, err, err_size);
}
