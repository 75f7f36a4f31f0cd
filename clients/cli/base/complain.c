#include "cli/base/complain.h"

#include <stdarg.h>
#include <unistd.h>

#include "cli/base/color.h"
#include "cli/base/status_line.h"
#include "common/observe/terminal_text.h"

static void add(struct buf *out, const char *text, size_t len)
{
    if (isatty(STDERR_FILENO))
        terminal_text_add(out, text, len);
    else
        buf_add(out, text, len);
}

void complain_text(const char *text)
{
    complain_failure(text, 0);
}

void complain_failure(const char *text, size_t len)
{
    struct buf out = {0};
    bool colored = len && color_is_on();
    buf_add_str(&out, "fantail: ");
    if (colored) buf_add_str(&out, COLOR_FAILURE);
    add(&out, text, len);
    if (colored) buf_add_str(&out, COLOR_END);
    add(&out, text + len, strlen(text) - len);
    buf_add_char(&out, '\n');
    status_line_write(out.data, out.len);
    buf_release(&out);
}

void complain(const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    complain_text(text);
}
