#include "cli/base/complain.h"

#include <stdarg.h>
#include <unistd.h>

#include "cli/base/status_line.h"
#include "common/observe/terminal_text.h"

void complain_text(const char *text)
{
    struct buf out = {0};
    buf_add_str(&out, "fantail: ");
    if (isatty(STDERR_FILENO))
        terminal_text_add(&out, text, strlen(text));
    else
        buf_add_str(&out, text);
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
