/* A service as a child process; a shell command plays the service. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/fleet/child_service.h"
#include "cli/fleet/listen_check.h"

static void start(struct child_service *s, char *script)
{
    char *const argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, script, NULL};
    cr_assert_eq(child_service_start(s, argv, environ, 1), 0);
    cr_assert_eq(s->state, CHILD_STARTING);
}

/* Reads until the service is ready or the pipe is closed. Returns whether the service is ready. */
static bool becomes_ready(struct child_service *s)
{
    while (s->ready_fd >= 0) {
        struct pollfd fd = {.fd = s->ready_fd, .events = POLLIN};
        poll(&fd, 1, -1);
        if (child_service_read(s)) return true;
    }
    return false;
}

static void end(struct child_service *s)
{
    kill(s->pid, SIGKILL);
    cr_assert_eq(waitpid(s->pid, NULL, 0), s->pid);
    child_service_ended(s);
    cr_assert_eq(s->state, CHILD_DOWN);
    cr_assert_eq(s->pid, 0);
}

Test(child_service, is_ready_after_its_line_and_can_be_started_again)
{
    struct child_service s;
    child_service_init(&s);
    for (int i = 0; i < 2; i++) {
        start(&s, (char[]){"printf 'ready 80' >&3; echo ' off' >&3; exec sleep 1000"});
        cr_assert(becomes_ready(&s));
        cr_assert_eq(s.state, CHILD_READY);
        end(&s);
    }
    child_service_release(&s);
}

Test(child_service, is_not_ready_when_it_ends_or_writes_something_else)
{
    static const char *const scripts[] = {"exit 1", "echo hello >&3; exec sleep 1000", "printf ready >&3"};
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        struct child_service s;
        char *script = xstrdup(scripts[i]);
        child_service_init(&s);
        start(&s, script);
        cr_assert_not(becomes_ready(&s), "%s", script);
        cr_assert_eq(s.state, CHILD_STARTING);
        end(&s);
        child_service_release(&s);
        free(script);
    }
}

Test(child_service, a_program_that_does_not_exist_is_an_error)
{
    struct child_service s;
    char *const argv[] = {(char[]){"/nowhere/fantail-worker"}, NULL};
    child_service_init(&s);
    cr_assert_neq(child_service_start(&s, argv, environ, 1), 0);
    cr_assert_eq(s.state, CHILD_DOWN);
    child_service_release(&s);
}

Test(child_service, a_reserved_port_is_for_the_service_alone)
{
    struct child_service a, b;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    child_service_init(&a);
    child_service_init(&b);
    cr_assert(child_service_reserve_port(&a));
    cr_assert(child_service_reserve_port(&b));
    cr_assert_neq(a.port, b.port);
    cr_assert_eq(listen_check("127.0.0.1", a.port), 0);
    /* The next lines bind the port in the same way as a service. */
    address.sin_port = htons(a.port);
    cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(listen_check("127.0.0.1", a.port), EADDRINUSE);
    close(listener);
    child_service_release(&a);
    child_service_release(&b);
}

Test(child_service, an_address_is_checked_without_a_trace)
{
    char folder[] = "/tmp/fantail-test-XXXXXX", host[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(host, sizeof host, "unix:%s/socket", folder);
    const char *path = host + strlen("unix:");
    cr_assert_eq(listen_check(host, 0), 0);
    cr_assert_neq(access(path, F_OK), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(listen_check(host, 0), EADDRINUSE);
    close(listener);
    cr_assert_eq(listen_check(host, 0), 0, "a killed process has left the file behind");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(folder), 0);
    cr_assert_eq(listen_check(host, 0), ENOENT);
    cr_assert_eq(listen_check("192.0.2.1", 0), EADDRNOTAVAIL);
}
