/* A client whose calls all go to socket files, and that therefore does not load libcurl. */
#include <sys/socket.h>
#include <sys/un.h>

#include "common/net/curl_library.h"
#include "unit/common/http_client/http_client_harness.h"

static char folder[] = "/tmp/fantail-test-XXXXXX";
static struct sockaddr_un name = {.sun_family = AF_UNIX};

/* Makes a socket like that of a stopped worker: it accepts connections, but no program reads from them. */
static int make_silent_socket(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

static void start_client(void)
{
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 2, 2);
    client = http_client_new(&loop, &(struct http_client_options){.only_socket_files = true});
}

TestSuite(socket_files, .init = start_client, .timeout = 30);

Test(socket_files, silence_times_out)
{
    int fd = make_silent_socket();
    char address[sizeof name.sun_path + 8];
    snprintf(address, sizeof address, "unix:%s", name.sun_path);
    struct heard get = {0}, post = {.body = "x", .body_len = 1};
    struct http_call_options options = {
        .url = "http://localhost/readyz", .connect_to = address, .silence_timeout_ms = 30};
    start_options(&get, options, "");
    start_options(&post, options, "");
    run_until(&get.ends, 1);
    run_until(&post.ends, 1);
    cr_assert_eq(get.result.outcome, HTTP_CALL_TIMED_OUT);
    cr_assert_eq(post.result.outcome, HTTP_CALL_TIMED_OUT);
    cr_assert_null(libcurl.easy_strerror, "libcurl was loaded");
    close(fd);
    unlink(name.sun_path);
    rmdir(folder);
    tear_down();
}
