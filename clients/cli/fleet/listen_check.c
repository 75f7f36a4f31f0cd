#include "cli/fleet/listen_check.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/net/listen_address.h"
#include "common/net/unix_address.h"

/* Binds the port, with the socket options that a service sets too: old connections in TIME_WAIT do not keep the port,
 * and [::] includes the addresses of IPv4. */
static int check_port(const char *host, uint16_t port)
{
    static const int on = 1, off = 0;
    struct sockaddr_storage address;
    socklen_t len = listen_address_fill(&address, host, port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int error = bind(fd, (const struct sockaddr *)&address, len) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* The socket file of a killed process is no error, because a service replaces it. The kernel refuses connections to
 * such a file. */
static int bind_file(int fd, const char *path)
{
    struct sockaddr_un address;
    struct stat file;
    socklen_t len = unix_address_fill(&address, path);
    if (bind(fd, (const struct sockaddr *)&address, len) == 0) return unlink(path) < 0 ? errno : 0;
    if (errno != EADDRINUSE) return errno;
    bool is_socket = lstat(path, &file) == 0 && S_ISSOCK(file.st_mode);
    bool refused = is_socket && connect(fd, (const struct sockaddr *)&address, len) < 0 && errno == ECONNREFUSED;
    return refused ? 0 : EADDRINUSE;
}

static int check_file(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int error = bind_file(fd, path);
    close(fd);
    return error;
}

int listen_check(const char *host, uint16_t port)
{
    const char *path = unix_address_path(host);
    return path ? check_file(path) : check_port(host, port);
}
