#include "common/net/unix_address.h"

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

void unix_address_widen(int fd)
{
    static const int most = 1 << 20; /* the kernel limits this size, and allocates the memory only when it is needed */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
}
