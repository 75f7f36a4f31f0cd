#include "cli/map/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>

#include "cli/base/interrupt.h"

void output_init(struct output *o, int fd)
{
    *o = (struct output){.fd = fd, .data = xmalloc(OUTPUT_BYTES)};
    /* A pipe with a larger buffer causes fewer context switches between this program and its reader. If standard output
     * is not a pipe, this call fails and does no harm. */
    fcntl(fd, F_SETPIPE_SZ, 1 << 20);
}

void output_release(struct output *o)
{
    free(o->data);
    *o = (struct output){.fd = -1};
}

static void wait_for_room(int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = interrupt_fd(), .events = POLLIN}};
    poll(fds, 2, -1);
}

static void write_parts(struct output *o, struct iovec *parts, int count)
{
    while (count > 0 && !output_failed(o)) {
        ssize_t n = writev(o->fd, parts, count);
        if (n < 0 && errno == EINTR && interrupt_signal()) return;
        if (n < 0 && errno == EAGAIN) {
            wait_for_room(o->fd);
            if (interrupt_signal()) return;
            continue;
        }
        if (n < 0 && errno != EINTR) {
            o->closed = errno == EPIPE;
            o->error = o->closed ? 0 : errno;
        }
        for (; n > 0 && count > 0; parts++, count--) {
            size_t taken = (size_t)n < parts->iov_len ? (size_t)n : parts->iov_len;
            n -= (ssize_t)taken;
            parts->iov_len -= taken;
            parts->iov_base = (char *)parts->iov_base + taken;
            if (parts->iov_len > 0) break;
        }
        while (count > 0 && parts->iov_len == 0) parts++, count--;
    }
}

void output_flush(struct output *o)
{
    struct iovec part = {o->data, o->len};
    if (o->len) write_parts(o, &part, 1);
    o->len = 0;
}

void output_big_line(struct output *o, const char *data, size_t len)
{
    if (len < OUTPUT_DIRECT) {
        output_flush(o);
        output_line(o, data, len);
        return;
    }
    char newline[] = "\n";
    struct iovec parts[3] = {{o->data, o->len}, {(void *)(uintptr_t)data, len}, {newline, 1}};
    write_parts(o, parts, 3);
    o->len = 0;
}

void output_bytes(struct output *o, const char *data, size_t len)
{
    if (o->len + len > OUTPUT_BYTES) output_flush(o);
    if (len > OUTPUT_BYTES) {
        struct iovec part = {(void *)(uintptr_t)data, len};
        write_parts(o, &part, 1);
        return;
    }
    if (len) memcpy(o->data + o->len, data, len);
    o->len += len;
}
