#include "common/http_server/http_listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/http_server/http_server.h"
#include "common/net/listen_address.h"
#include "common/net/unix_address.h"

#define BACKLOG 1024

/* The port is at the same offset in the addresses of both families. */
static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "one place for both");

uint16_t http_listen_port(int fd)
{
    struct sockaddr_in6 bound = {0};
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 || bound.sin6_family == AF_UNIX) return 0;
    return ntohs(bound.sin6_port);
}

/* Accepted sockets inherit these options, so no options are set per connection. TCP keep-alive probes detect peers that
 * are gone without a FIN. */
static void set_socket_options(int fd, int family, bool reuse_port)
{
    static const int on = 1, off = 0, idle_s = 60, interval_s = 15, probes = 4;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* Writes the message for `error`, a value of errno. `option` may be NULL. */
static int fail(int fd, char *err, size_t err_size, const char *option, const char *where, int error)
{
    snprintf(err, err_size, "%s%s%scannot listen on %s: %s", option ? "--" : "", option ? option : "",
             option ? ": " : "", where, strerror(error));
    if (fd >= 0) close(fd);
    return -1;
}

static int listen_on_port(const struct http_server_options *o, const char *host, char *err, size_t err_size)
{
    char where[INET6_ADDRSTRLEN + 8];
    struct sockaddr_storage address;
    socklen_t len = listen_address_fill(&address, host, o->port);
    snprintf(where, sizeof where, "%s:%u", host, o->port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) set_socket_options(fd, address.ss_family, o->reuse_port);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0)
        return fail(fd, err, err_size, errno == EADDRNOTAVAIL ? o->host_option : o->port_option, where, errno);
    return fd;
}

/* Returns whether the file is the socket of a killed process. The file of a killed process stays behind, and the kernel
 * refuses connections to it. Only a file that is left behind in this way may be replaced. */
static bool is_abandoned(const struct sockaddr_un *address, socklen_t len)
{
    struct stat file;
    if (lstat(address->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, len) < 0 && errno == ECONNREFUSED;
    if (fd >= 0) close(fd);
    return refused;
}

static int listen_on_file(const struct http_server_options *o, const char *path, char *err, size_t err_size)
{
    struct sockaddr_un address;
    socklen_t len = unix_address_fill(&address, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0;
    if (fd >= 0 && !bound && errno == EADDRINUSE) {
        if (!is_abandoned(&address, len)) return fail(fd, err, err_size, o->host_option, path, EADDRINUSE);
        unlink(path);
        bound = bind(fd, (struct sockaddr *)&address, len) == 0;
    }
    if (!bound || listen(fd, BACKLOG) < 0) return fail(fd, err, err_size, o->host_option, path, errno);
    return fd;
}

int http_listen(const struct http_server_options *o, char *err, size_t err_size)
{
    const char *host = o->host ? o->host : "127.0.0.1", *path = unix_address_path(host);
    const char *fault = listen_address_fault(host);
    if (fault) {
        snprintf(err, err_size, "cannot listen: %s %s", host, fault);
        return -1;
    }
    return path ? listen_on_file(o, path, err, err_size) : listen_on_port(o, host, err, err_size);
}

/* Closing a listening socket resets the connections that wait to be accepted. The peers of these connections may have
 * sent a request, and cannot know whether it was read. So before the socket is closed, a socket filter makes the kernel
 * drop SYNs. A peer that gets no answer retransmits its SYN, and is refused after the socket has been closed. If the
 * kernel does not allow the filter, a few peers see a reset. For a Unix-domain socket, it is enough to remove the
 * socket's file. */
void http_listen_refuse_new(int fd, const char *host)
{
    enum { FLAGS_AT = 13, SYN = 0x02 }; /* the data that the filter sees begins with the TCP header */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
    const char *path = unix_address_path(host);
    if (path)
        unlink(path);
    else
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

bool http_listen_has_waiting(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}
