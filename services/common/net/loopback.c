#include "common/net/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/net/unix_address.h"

bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (!host || unix_address_path(host)) return true;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, host, &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET);
}
