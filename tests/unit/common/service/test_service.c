/* The start and the end of a service. The service runs in a child process, which calls the function of the service as a
 * main() would. */
#include "common/service/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/observe/metrics.h"
#include "unit/held_port.h"
#include "unit/leaks.h"

struct child {
    pid_t pid;
    int control; /* writing a byte to this descriptor ends the work of the child */
    unsigned port, admin_port;
};

struct work {
    struct service *service;
    bool holds; /* has work until a byte comes */
    bool draining, stopped;
    int control;
    uv_poll_t poll;
};

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct work *w = poll->data;
    char byte;
    if (read(w->control, &byte, 1) != 1) return;
    w->holds = false;
    service_poke(w->service);
}

static void drain(void *data)
{
    ((struct work *)data)->draining = true;
}

static bool idle(void *data)
{
    return !((struct work *)data)->holds;
}

static void stop(void *data)
{
    struct work *w = data;
    w->stopped = true;
    uv_close((uv_handle_t *)&w->poll, NULL);
}

static void say_work(struct http_exchange *x, void *data)
{
    const struct work *w = data;
    http_answer(x, 200, "text/plain", w->holds ? "busy" : "free", 4);
}

static const struct http_route routes[] = {{"GET", "/work", say_work}, {0}};
static const struct http_route admin_routes[] = {{"GET", "/autoscale", say_work}, {0}};

static struct service_config config;
static bool late_signals; /* the child gets signals after service_free() */

static int child_main(int ready_fd, int control, bool holds)
{
    struct work w = {.holds = holds, .control = control};
    const struct service_hooks hooks = {.name = "test",
                                        .routes = routes,
                                        .admin_routes = admin_routes,
                                        .data = &w,
                                        .drain = drain,
                                        .idle = idle,
                                        .stop = stop};
    uv_loop_t loop;
    char err[256];
    config.ready_fd = ready_fd;
    uv_loop_init(&loop);
    uv_poll_init(&loop, &w.poll, control);
    w.poll.data = &w;
    uv_poll_start(&w.poll, UV_READABLE, on_control);
    w.service = service_start(&loop, &config, &hooks, err, sizeof err);
    if (!w.service) {
        fprintf(stderr, "%s\n", err);
        return 3;
    }
    service_set_ready(w.service, true, NULL);
    int status = service_run(w.service);
    service_free(w.service);
    static const int late[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; late_signals && i < ARRAY_SIZE(late); i++) raise(late[i]);
    if (!w.draining || !w.stopped || uv_loop_close(&loop) != 0) return 4;
    metrics_release();
    return status;
}

static struct child start_child(bool holds)
{
    int ready[2], control[2];
    struct child c = {0};
    char line[64];
    cr_assert(pipe(ready) == 0 && pipe(control) == 0);
    c.pid = fork();
    if (c.pid == 0) {
        close(ready[0]);
        close(control[1]);
        _exit(child_main(ready[1], control[0], holds));
    }
    close(ready[1]);
    close(control[0]);
    c.control = control[1];
    FILE *in = fdopen(ready[0], "r");
    cr_assert(fgets(line, sizeof line, in), "the child never became ready");
    cr_assert_eq(sscanf(line, "ready %u %u", &c.port, &c.admin_port), 2);
    cr_assert(fgetc(in) == EOF, "ready-fd is not closed");
    fclose(in);
    return c;
}

static int wait_child(const struct child *c)
{
    int status;
    waitpid(c->pid, &status, 0);
    close(c->control);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    return -1;
}

static char answer[1 << 16];

/* Returns the whole answer to a GET request on a new connection, or "" if no connection was possible. */
static const char *get(unsigned port, const char *path)
{
    char request[256];
    size_t len = 0;
    int fd = connect_to(port);
    answer[0] = '\0';
    if (fd < 0) return answer;
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    cr_assert(send(fd, request, (size_t)size, MSG_NOSIGNAL) == size);
    for (ssize_t n; (n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0;) len += (size_t)n;
    answer[len] = '\0';
    close(fd);
    return answer;
}

static bool is_status(const char *text, int status)
{
    return strncmp(text, "HTTP/1.1 ", 9) == 0 && strtol(text + 9, NULL, 10) == status;
}

static void set_up(void)
{
    config = (struct service_config){.host = "127.0.0.1",
                                     .port = hold_port(),
                                     .admin_host = "127.0.0.1",
                                     .admin_port = hold_port(),
                                     .drain_s = 20,
                                     .log_level = LOG_LEVEL_ERROR,
                                     .ready_fd = -1};
}

TestSuite(service, .init = set_up, .timeout = 60);

Test(service, health_metrics_and_routes_answer_on_their_ports)
{
    struct child c = start_child(false);
    cr_assert(is_status(get(c.port, "/livez"), 200));
    cr_assert(is_status(get(c.port, "/healthz"), 200));
    cr_assert(is_status(get(c.port, "/readyz"), 200));
    cr_assert(is_status(get(c.port, "/work"), 200) && strstr(answer, "free"));
    cr_assert(is_status(get(c.port, "/metrics"), 404));
    cr_assert(is_status(get(c.admin_port, "/readyz"), 200));
    cr_assert(is_status(get(c.admin_port, "/autoscale"), 200));
    cr_assert(is_status(get(c.admin_port, "/metrics"), 200));
    cr_assert(strstr(answer, "fantail_http_requests_total{method=\"GET\",route=\"/work\",code=\"2xx\"} 1\n"), "%s",
              answer);
    cr_assert(strstr(answer, "fantail_http_requests_total{method=\"GET\",route=\"/work\",code=\"5xx\"} 0\n"));
    cr_assert(strstr(answer, "fantail_build_info{"));
    kill(c.pid, SIGTERM);
    cr_assert_eq(wait_child(&c), 0);
    assert_no_leaks();
}

Test(service, healthcheck_is_0_only_when_ready, .init = set_up)
{
    struct child c = start_child(true);
    struct service_config asked = config;
    asked.admin_port = c.admin_port;
    cr_assert_eq(service_healthcheck(&asked), 0);
    asked.admin_port = -1;
    asked.port = c.port;
    cr_assert_eq(service_healthcheck(&asked), 0);
    asked.admin_port = c.admin_port;
    kill(c.pid, SIGTERM);
    while (service_healthcheck(&asked) == 0) continue;
    cr_assert(is_status(get(c.admin_port, "/readyz"), 503) && strstr(answer, "draining") &&
              strstr(answer, "Retry-After"));
    cr_assert(is_status(get(c.admin_port, "/livez"), 200));
    cr_assert(write(c.control, "x", 1) == 1);
    cr_assert_eq(wait_child(&c), 0);
    cr_assert_eq(service_healthcheck(&asked), 1);
    assert_no_leaks();
}

Test(service, a_drain_waits_for_the_work_with_the_listener_closed)
{
    struct child c = start_child(true);
    kill(c.pid, SIGTERM);
    for (int fd; (fd = connect_to(c.port)) >= 0;) close(fd);
    cr_assert(is_status(get(c.admin_port, "/autoscale"), 200) && strstr(answer, "busy"));
    cr_assert(write(c.control, "x", 1) == 1);
    cr_assert_eq(wait_child(&c), 0);
    assert_no_leaks();
}

Test(service, during_the_shutdown_delay_requests_are_still_taken_and_connections_closed)
{
    config.shutdown_delay_s = 600;
    struct child c = start_child(false);
    kill(c.pid, SIGINT);
    while (is_status(get(c.port, "/readyz"), 200)) continue;
    cr_assert(is_status(get(c.port, "/work"), 200) && strstr(answer, "Connection: close"));
    kill(c.pid, SIGTERM);
    cr_assert_eq(wait_child(&c), 1, "a second signal ends at once");
    assert_no_leaks();
}

Test(service, a_signal_that_comes_after_the_end_does_not_change_the_status)
{
    late_signals = true;
    struct child c = start_child(false);
    kill(c.pid, SIGTERM);
    cr_assert_eq(wait_child(&c), 0);
    assert_no_leaks();
}

Test(service, a_drain_that_takes_too_long_is_cut)
{
    config.drain_s = 0.05;
    struct child c = start_child(true);
    kill(c.pid, SIGTERM);
    cr_assert_eq(wait_child(&c), 0);
    assert_no_leaks();
}

Test(service, a_port_that_is_taken_is_told_and_leaves_nothing_open)
{
    struct child c = start_child(false);
    uv_loop_t loop;
    char err[256] = "";
    const struct service_hooks hooks = {.name = "test", .routes = routes};
    config.port = c.port;
    uv_loop_init(&loop);
    cr_assert_null(service_start(&loop, &config, &hooks, err, sizeof err));
    cr_assert(strstr(err, "cannot listen"), "%s", err);
    int closed = uv_loop_close(&loop);
    cr_assert_eq(closed, 0, "%s", uv_strerror(closed));
    kill(c.pid, SIGTERM);
    cr_assert_eq(wait_child(&c), 0);
    metrics_release();
    assert_no_leaks();
}

Test(service, exit_with_parent_ends_an_orphan)
{
    int out[2];
    config.exit_with_parent = true;
    cr_assert(pipe(out) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct child c = start_child(false);
        cr_assert(write(out[1], &c, sizeof c) == sizeof c);
        _exit(0); /* this process, the parent of the service, ends here */
    }
    struct child c;
    cr_assert(read(out[0], &c, sizeof c) == sizeof c);
    waitpid(parent, NULL, 0);
    for (int fd; (fd = connect_to(c.port)) >= 0;) close(fd);
    close(out[0]);
    close(out[1]);
    assert_no_leaks();
}
