#include "hosts/line_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"

enum {
    READ_BYTES = 256 * KIB, /* the initial size of the buffer; each read() has room for at least half of this */
    KEEP_BYTES = 4 * MIB,   /* a buffer that has grown larger for one item is freed */
};

static void make_room(struct line_reader *r)
{
    if (r->start == r->end && r->alloc > KEEP_BYTES) {
        free(r->data);
        *r = (struct line_reader){0};
    }
    if (r->start > 0) {
        /* The buffer now holds only a part of one line. After this move the line begins at 0, so it does not move
         * again. */
        memmove(r->data, r->data + r->start, r->end - r->start);
        r->end -= r->start;
        r->scanned -= r->start;
        r->start = 0;
    }
    if (r->alloc - r->end >= READ_BYTES / 2) return;
    r->alloc = r->alloc ? r->alloc * 2 : READ_BYTES;
    r->data = xrealloc(r->data, r->alloc);
}

/* Reads up to the end of the first line, like read(). Between the two calls, the worker may take the line back. The
 * second call then fails with EAGAIN, so that the next call looks for the end of the line again. */
static ssize_t read_line(int fd, char *to, size_t room)
{
    ssize_t n = recv(fd, to, room, MSG_PEEK);
    if (n < 0 && errno == ENOTSOCK) return read(fd, to, room);
    if (n <= 0) return n;
    const char *newline = memchr(to, '\n', (size_t)n);
    return recv(fd, to, newline ? (size_t)(newline + 1 - to) : (size_t)n, MSG_DONTWAIT);
}

static ssize_t read_all(int fd, char *to, size_t room)
{
    return read(fd, to, room);
}

static bool fill(struct line_reader *r, int fd, ssize_t (*read_some)(int fd, char *to, size_t room))
{
    make_room(r);
    for (;;) {
        ssize_t n = read_some(fd, r->data + r->end, r->alloc - r->end);
        if (n > 0) {
            r->end += (size_t)n;
            return true;
        }
        if (n == 0) return false;
        if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            return false;
    }
}

bool line_reader_fill(struct line_reader *r, int fd)
{
    return fill(r, fd, read_all);
}

bool line_reader_fill_line(struct line_reader *r, int fd)
{
    return fill(r, fd, read_line);
}

void line_reader_release(struct line_reader *r)
{
    free(r->data);
    *r = (struct line_reader){0};
}

/* Returns the text after `word` in the line; the text may be "". Returns NULL if the line begins with another word. */
static const char *after(const char *word, const char *line, size_t len)
{
    size_t word_len = strlen(word);
    if (len < word_len || memcmp(line, word, word_len) != 0) return NULL;
    if (len == word_len) return "";
    return line[word_len] == ' ' ? line + word_len + 1 : NULL;
}

static void replace(char **value, const char *now)
{
    free(*value);
    *value = now && *now ? xstrdup(now) : NULL;
}

void line_read_control(struct line_common *common, const char *line, size_t len)
{
    const char *value;
    if ((value = after("#common", line, len)) && *value) {
        free(common->json);
        common->len = len - (size_t)(value - line);
        common->json = xstrndup(value, common->len);
    } else if ((value = after("#traceparent", line, len))) {
        replace(&common->traceparent, value);
        replace(&common->tracestate, NULL);
    } else if ((value = after("#tracestate", line, len))) {
        replace(&common->tracestate, value);
    }
}

void line_common_release(struct line_common *common)
{
    free(common->json);
    free(common->traceparent);
    free(common->tracestate);
    *common = (struct line_common){0};
}

bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n >= 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool claim_stdio(int *items_fd, int *answers_fd)
{
    *items_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
    *answers_fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
    int null_fd = open("/dev/null", O_RDWR);
    if (*items_fd < 0 || *answers_fd < 0 || null_fd < 0) return false;
    bool moved = dup2(null_fd, 0) == 0 && (dup2(2, 1) == 1 || dup2(null_fd, 1) == 1);
    if (null_fd > 2) close(null_fd);
    return moved;
}
