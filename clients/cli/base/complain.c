#include "cli/base/complain.h"

#include <stdarg.h>

void complain(const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(stderr, "fantail: %s\n", text);
}
