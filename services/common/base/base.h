/*
 * Basics for every file: array sizes, results that must be checked, ways to end the program, allocation, a clock. This
 * header knows nothing about jobs or sockets.
 */
#ifndef FANTAIL_COMMON_BASE_BASE_H
#define FANTAIL_COMMON_BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/banned.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* Makes a string of the value of a macro: TEXT_OF(LIMIT_RUNNING_JOBS) is "10000". */
#define TEXT_OF(macro)          TEXT_OF_(macro)
#define TEXT_OF_(text)          #text
#define MUST_CHECK              __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
/* Versions 14 and 19 of clang-format would format this line differently. */
/* clang-format off */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Returns a time limit in nanoseconds. 0 means no limit, so a positive limit is never rounded to 0. */
static inline uint64_t time_limit_ns(double seconds)
{
    uint64_t ns = (uint64_t)(seconds * (double)NS_PER_S);
    return ns == 0 && seconds > 0 ? 1 : ns;
}

/* Reports a bug in our own code: prints the file, the line and the message, and aborts. Do not use BUG() for anything
 * that a user or a peer can cause. */
#define BUG(...) fantail_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void fantail_bug(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Prints "program: message" on stderr and exits with `status`. Only a main.c may call die(), and only while the program
 * starts. */
_Noreturn void die(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The allocation functions below never return NULL. If memory runs out, the program ends with BUG(): without free
 * memory, a service could not even answer with an error. If a peer controls the size, first check it against
 * limits.h. */
MUST_CHECK void *xmalloc(size_t size);
MUST_CHECK void *xcalloc(size_t count, size_t size);
MUST_CHECK void *xrealloc(void *ptr, size_t size);
MUST_CHECK char *xstrdup(const char *s);
MUST_CHECK char *xstrndup(const char *s, size_t len);

/* Returns the monotonic time in nanoseconds (CLOCK_MONOTONIC). Pure modules never call now_ns(): they get the time as
 * an argument. */
uint64_t now_ns(void);

#endif
