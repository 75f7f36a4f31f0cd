#include "cli/base/status_line.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/buf.h"

#define ERASE "\r\033[K"

enum { COLUMNS_OTHERWISE = 100 };

static struct buf shown; /* empty: there is no line */
static bool is_hidden;

/* A reader that is gone or slow is no fault of the run, so errors are ignored. */
static void write_out(const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(STDERR_FILENO, b->data + at, b->len - at);
        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
        else if (n == 0 || errno != EINTR)
            return;
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
    redraw(lines, len, is_drawn());
}

size_t status_line_columns(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : COLUMNS_OTHERWISE;
}
