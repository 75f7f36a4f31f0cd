#include "common/net/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/net/unix_address.h"

socklen_t listen_address_fill(struct sockaddr_storage *storage, const char *host, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
    memset(storage, 0, sizeof *storage);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

const char *listen_address_fault(const char *host)
{
    struct sockaddr_storage storage;
    struct sockaddr_un file;
    const char *path = unix_address_path(host);
    if (!path)
        return listen_address_fill(&storage, host, 0)
                   ? NULL
                   : "is neither a numeric address, such as 127.0.0.1, nor unix:PATH";
    if (unix_address_fill(&file, path)) return NULL;
    return *path ? "has a path that is too long for a socket" : "has no path";
}
