/* The memory of an idle connection. */
#include "unit/common/http_server/http_server_harness.h"

#define CLIENTS 200

/* Returns the resident memory of the process. Allocates nothing, because a sanitizer would keep freed memory
 * resident. */
static size_t resident_bytes(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    cr_assert(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return (size_t)strtoul(strchr(text, ' '), NULL, 10) * (size_t)getpagesize();
}

static void ask(int fd)
{
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_hears(fd, "hello");
}

Test(http_server, an_idle_connection_gives_its_memory_back_and_goes_on)
{
    int fds[CLIENTS];
    start();
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = client();
        say(fds[i], "GET / HTTP/1.1\r\n");
    }
    for (int turns = 0; turns < 50; turns++) turn();
    size_t before = resident_bytes();
    for (size_t i = 0; i < CLIENTS; i++) {
        say(fds[i], HOST "\r\n");
        assert_hears(fds[i], "hello");
    }
    cr_assert_gt(resident_bytes(), before + CLIENTS * (size_t)(64 * KIB),
                 "the library no longer fills the memory of a connection");
    TURN_UNTIL(resident_bytes() < before + CLIENTS * (size_t)(16 * KIB));
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < CLIENTS; i++) ask(fds[i]);
    for (size_t i = 0; i < CLIENTS; i++) close(fds[i]);
    stop();
}
