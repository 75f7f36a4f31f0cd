#include "common/base/base.h"

#include <stdarg.h>
#include <time.h>

_Noreturn void fantail_bug(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "BUG at %s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

_Noreturn void die(int status, const char *fmt, ...)
{
    extern char *program_invocation_short_name;
    va_list args;
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

static void *or_out_of_memory(void *ptr, size_t size)
{
    if (!ptr && size > 0) BUG("out of memory asking for %zu bytes", size);
    return ptr;
}

void *xmalloc(size_t size)
{
    return or_out_of_memory(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    return or_out_of_memory(calloc(count, size), size);
}

void *xrealloc(void *ptr, size_t size)
{
    return or_out_of_memory(realloc(ptr, size), size);
}

char *xstrdup(const char *s)
{
    return or_out_of_memory(strdup(s), strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
    return or_out_of_memory(strndup(s, len), len);
}

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}
