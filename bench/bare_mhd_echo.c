/*
 * bare_mhd_echo: the smallest HTTP service that can be made with libmicrohttpd. The service answers a POST with the
 * body of the request. Prints its port and runs until the end of standard input. http_latency measures this service in
 * the same way as it measures a coordinator.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <unistd.h>

#include "bench.h"
#include "common/base/buf.h"

static enum MHD_Result answer(struct MHD_Connection *connection, const struct buf *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result handle(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **request)
{
    struct buf *body = *request;
    if (!body) {
        *request = xcalloc(1, sizeof *body);
        return MHD_YES;
    }
    if (*upload_len == 0) return answer(connection, body);
    buf_add(body, upload, *upload_len);
    *upload_len = 0;
    return MHD_YES;
}

static void completed(void *data, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode code)
{
    if (!*request) return;
    buf_release(*request);
    free(*request);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR,
                         (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    check(daemon != NULL, "MHD_start_daemon");
    printf("%d\n", (int)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) continue;
    MHD_stop_daemon(daemon);
    return 0;
}
