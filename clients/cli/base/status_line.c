#include "cli/base/status_line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "common/base/buf.h"

#define ERASE "\r\033[K"

enum { COLUMNS_OTHERWISE = 100 };
enum { SIGNAL_CHECK_MS = 100 }; /* a signal that comes just before poll() is noticed within this time */

static struct buf shown; /* the status line; empty if none is shown */
static bool is_hidden;
static struct buf waiting; /* whole lines; a part of the first one may already have been written */

/* Writes the text to standard error. If the reader has gone, drops the text and reports no error. Waits while the
 * reader is slow. After a signal that asks the program to end, does not wait. */
static void write_out(const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(STDERR_FILENO, b->data + at, b->len - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN) || interrupt_signal())
            return;
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, SIGNAL_CHECK_MS);
    }
}

/* Erases the drawn line, writes `lines`, and draws the line again unless it is hidden. */
static void redraw(const char *lines, size_t len, bool was_drawn)
{
    struct buf out = {0};
    if (was_drawn) buf_add_str(&out, ERASE);
    buf_add(&out, lines, len);
    if (!is_hidden) buf_add(&out, shown.data, shown.len);
    write_out(&out);
    buf_release(&out);
}

static bool is_drawn(void)
{
    return shown.len && !is_hidden;
}

void status_line_show(const char *text, size_t len)
{
    buf_clear(&shown);
    buf_add(&shown, text, len);
    redraw("", 0, true);
}

void status_line_hide(void)
{
    bool was_drawn = is_drawn();
    is_hidden = true;
    if (was_drawn) redraw("", 0, true);
}

void status_line_restore(void)
{
    is_hidden = false;
    if (shown.len) redraw("", 0, false);
}

void status_line_end(void)
{
    status_line_hide();
    is_hidden = false;
    buf_release(&shown);
}

void status_line_write(const char *lines, size_t len)
{
    if (!waiting.len && !len) return;
    buf_add(&waiting, lines, len);
    redraw(waiting.data, waiting.len, is_drawn());
    buf_release(&waiting);
}

void status_line_queue(const char *lines, size_t len)
{
    buf_add(&waiting, lines, len);
}

size_t status_line_waiting(void)
{
    return waiting.len;
}

static bool is_file(void)
{
    struct stat st;
    return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

/* Returns how many of the waiting bytes to write at once. A write of at most PIPE_BUF bytes does not block if the pipe
 * has room. A write to a file never waits for a reader. A line of more than PIPE_BUF bytes is written in pieces, unless
 * the status line must be drawn after the line. In that case the line is written as a whole. */
static size_t piece(bool file)
{
    if (file || waiting.len <= PIPE_BUF) return waiting.len;
    const char *end = memrchr(waiting.data, '\n', PIPE_BUF);
    if (!end && is_drawn()) end = memchr(waiting.data, '\n', waiting.len);
    return end ? (size_t)(end + 1 - waiting.data) : PIPE_BUF;
}

/* The flags of the descriptor are not changed, because other programs may share it. */
void status_line_flush(void)
{
    bool file = waiting.len && is_file();
    while (waiting.len) {
        if (!file && poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, 0) <= 0) return;
        size_t len = piece(file);
        redraw(waiting.data, len, is_drawn());
        buf_drop_front(&waiting, len);
    }
    buf_release(&waiting);
}

size_t status_line_columns(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : COLUMNS_OTHERWISE;
}
