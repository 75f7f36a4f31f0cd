/* A client for /readyz, for container images that have neither a shell nor curl. This client blocks, so a running
 * service never uses it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/net/unix_address.h"
#include "common/service/service.h"

#define TIMEOUT_S 2

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* Makes the address to connect to. If the service listens on all addresses, makes a loopback address. Returns the
 * length, or 0 when `host` is not an address. */
static socklen_t make_address(union address *a, const char *host, uint16_t port)
{
    *a = (union address){0};
    if (!host) host = "127.0.0.1";
    const char *path = unix_address_path(host);
    if (path) return unix_address_fill(&a->local, path);
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
        if (a->v4.sin_addr.s_addr == htonl(INADDR_ANY)) a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        return sizeof a->v4;
    }
    if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
        if (IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr)) return make_address(a, "127.0.0.1", port);
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        return sizeof a->v6;
    }
    return 0;
}

/* Sends the request, and reads the answer into `text` until the answer ends or `text` is full. */
static bool ask(int fd, char *text, size_t size)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t len = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof request - 1)) return false;
    while (len < size - 1) {
        ssize_t n = recv(fd, text + len, size - 1 - len, 0);
        if (n < 0) return false;
        if (n == 0) break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return true;
}

int service_healthcheck(const struct service_config *config)
{
    bool admin = config->admin_port >= 0;
    uint16_t port = (uint16_t)(admin ? config->admin_port : config->port);
    const char *host = admin ? config->admin_host : config->host;
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    union address address;
    socklen_t len = make_address(&address, host, port);
    char answer[1024] = "";
    bool asked = false;
    if (!admin && config->tls.cert) {
        fprintf(stderr,
                "cannot check: without --admin-port the service has only https, which this check does not support\n");
        return 1;
    }
    int fd = len ? socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (!len) errno = EINVAL;
    if (fd >= 0) {
        asked = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
                connect(fd, &address.any, len) == 0 && ask(fd, answer, sizeof answer);
        int why = errno;
        close(fd);
        errno = why;
    }
    if (!asked) {
        fprintf(stderr, "not ready: %s port %u: %s\n", host ? host : "127.0.0.1", port, strerror(errno));
        return 1;
    }
    if (strncmp(answer, "HTTP/1.1 200 ", 13) == 0) return 0;
    const char *body = strstr(answer, "\r\n\r\n");
    fprintf(stderr, "not ready: %s\n", body ? body + 4 : "no answer");
    return 1;
}
