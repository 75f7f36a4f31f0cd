/* A port of 127.0.0.1 that belongs to this test until its process ends. A socket is bound to the port and never
 * listens, so connections are refused. A server of the test can listen on the port if the server sets SO_REUSEADDR. The
 * kernel gives the port to no other program. So no other program can answer where a test expects a refusal. */
#ifndef FANTAIL_TEST_HELD_PORT_H
#define FANTAIL_TEST_HELD_PORT_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

static inline uint16_t hold_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    return ntohs(address.sin_port);
}

#endif
