/*
 * http_latency PORT PATH BODY COUNT: sends COUNT POST requests to 127.0.0.1, one after another on one connection. The
 * program waits for each complete answer and prints the median and the 99th percentile. Before the measurement, the
 * program sends COUNT / 10 more requests as a warm-up.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "common/base/buf.h"

static int connect_to(long port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0, "TCP_NODELAY");
    return fd;
}

/* Returns whether the answer is complete: its body has as many bytes as Content-Length says, or its last chunk has
 * arrived. */
static bool is_whole(struct buf *answer)
{
    const char *text = buf_cstr(answer), *body = strstr(text, "\r\n\r\n");
    if (!body) return false;
    const char *length = strcasestr(text, "\r\nContent-Length:");
    if (length && length < body) return strtoul(length + 17, NULL, 10) <= strlen(body + 4);
    return strstr(body, "\r\n0\r\n\r\n") != NULL;
}

static void round_trip(int fd, const char *request, size_t len, struct buf *answer)
{
    check(write(fd, request, len) == (ssize_t)len, "write");
    buf_clear(answer);
    do {
        check(buf_reserve(answer, 65536), "memory");
        ssize_t n = read(fd, answer->data + answer->len, 65536);
        check(n > 0, "the server closed the connection");
        answer->len += (size_t)n;
    } while (!is_whole(answer));
    if (strncmp(answer->data, "HTTP/1.1 200", 12) == 0) return;
    fprintf(stderr, "%s\n", buf_cstr(answer));
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: http_latency PORT PATH BODY COUNT\n", stderr);
        return 2;
    }
    size_t count = (size_t)parse_count(argv[4]);
    int fd = connect_to(parse_count(argv[1]));
    struct buf request = {0}, answer = {0};
    buf_addf(&request,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             argv[2], strlen(argv[3]), argv[3]);
    uint64_t *ns = xcalloc(count, sizeof *ns);
    for (size_t i = 0; i < count / 10; i++) round_trip(fd, request.data, request.len, &answer);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = now_ns();
        round_trip(fd, request.data, request.len, &answer);
        ns[i] = now_ns() - start;
    }
    print_latencies(ns, count);
    free(ns);
    buf_release(&request);
    buf_release(&answer);
    close(fd);
    return 0;
}
