/*
 * A clock that moves only when the test moves it: for now_ns(), and for the timers of libuv. The fake clock replaces
 * clock_gettime() in the program of the test.
 */
#ifndef FANTAIL_TEST_FAKE_CLOCK_H
#define FANTAIL_TEST_FAKE_CLOCK_H

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/base.h"

static uint64_t fake_clock_ns; /* 0: the real clock */

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (fake_clock_ns == 0 || id == CLOCK_REALTIME) return (int)syscall(SYS_clock_gettime, id, t);
    t->tv_sec = (time_t)(fake_clock_ns / NS_PER_S);
    t->tv_nsec = (long)(fake_clock_ns % NS_PER_S);
    return 0;
}

static inline void fake_clock_start(void)
{
    fake_clock_ns = 1000 * NS_PER_S;
}

static inline void fake_clock_pass(uint64_t ms)
{
    fake_clock_ns += ms * NS_PER_MS;
}

#endif
