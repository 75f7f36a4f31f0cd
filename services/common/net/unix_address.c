#include "common/net/unix_address.h"

#include <errno.h>
#include <unistd.h>

const char *unix_address_path(const char *address)
{
    static const char prefix[] = "unix:";
    bool is_one = address && strncmp(address, prefix, sizeof prefix - 1) == 0;
    return is_one ? address + sizeof prefix - 1 : NULL;
}

socklen_t unix_address_fill(struct sockaddr_un *a, const char *path)
{
    size_t len = strlen(path);
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len == 0 || len > UNIX_PATH_BYTES) return 0;
    memcpy(a->sun_path, path, len);
    return sizeof *a;
}

int unix_address_connect(const char *path)
{
    struct sockaddr_un address;
    socklen_t len = unix_address_fill(&address, path);
    if (len == 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    unix_address_widen(fd);
    if (connect(fd, (const struct sockaddr *)&address, len) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void unix_address_widen(int fd)
{
    static const int most = 1 << 20; /* the kernel limits this size, and allocates the memory only when it is needed */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
}
