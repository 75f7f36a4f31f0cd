#include "cli/report/relay.h"

#include <errno.h>
#include <unistd.h>

#include "cli/base/status_line.h"
#include "common/observe/terminal_text.h"

enum { READ_BYTES = 64 << 10 };

void relay_release(struct relay *r)
{
    buf_release(&r->line);
}

bool relay_has_room(void)
{
    return status_line_waiting() < RELAY_WAITING_BYTES;
}

static void queue(const char *lines, size_t len)
{
    static int is_terminal = -1;
    if (is_terminal < 0) is_terminal = isatty(STDERR_FILENO);
    if (!is_terminal) {
        status_line_queue(lines, len);
        return;
    }
    struct buf safe = {0};
    terminal_text_add(&safe, lines, len);
    status_line_queue(safe.data, safe.len);
    buf_release(&safe);
}

/* Passes on whole lines. */
static void pass_on(struct relay *r)
{
    if (!r->prefix) {
        queue(r->line.data, r->line.len);
    } else {
        struct buf named = {0};
        for (size_t at = 0; at < r->line.len;) {
            const char *start = r->line.data + at, *newline = memchr(start, '\n', r->line.len - at);
            size_t len = (size_t)(newline + 1 - start);
            buf_add_str(&named, r->prefix);
            buf_add(&named, start, len);
            at += len;
        }
        queue(named.data, named.len);
        buf_release(&named);
    }
    buf_clear(&r->line);
}

void relay_end(struct relay *r)
{
    if (!r->line.len) return;
    buf_add_char(&r->line, '\n');
    pass_on(r);
}

void relay_add(struct relay *r, const char *data, size_t len)
{
    const char *newline = len ? memrchr(data, '\n', len) : NULL;
    size_t whole = newline ? (size_t)(newline + 1 - data) : 0;
    if (whole) {
        buf_add(&r->line, data, whole);
        pass_on(r);
    }
    buf_add(&r->line, data + whole, len - whole);
    if (r->line.len >= RELAY_LINE_BYTES) relay_end(r);
}

bool relay_read(struct relay *r, int fd)
{
    static char data[READ_BYTES];
    while (relay_has_room()) {
        ssize_t n = read(fd, data, sizeof data);
        if (n > 0) relay_add(r, data, (size_t)n);
        if (n > 0 || (n < 0 && errno == EINTR)) continue;
        return n < 0 && errno == EAGAIN;
    }
    return true;
}
