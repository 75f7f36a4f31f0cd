/*
 * Confirms the answers of a program without ids when the process waits for input again. A program whose last line was
 * a surplus line does not wait for input, because it is still working on the real answer. docs/protocol.md describes
 * this in "Programs without ids".
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/process/process_internal.h"

#define RECHECK_MIN_NS  (NS_PER_MS / 2)  /* least time between two checks of whether the process waits for input */
#define RECHECK_SPIN_NS (50 * NS_PER_US) /* how long checks repeat without a pause after an answer */
#define RECHECK_MAX_NS  (20 * NS_PER_MS)
/* If the kernel does not show whether a process waits for input, its answers are confirmed when the process has written
 * nothing for a while. This time of silence is twice the time of an item, but at least SILENCE_MIN_NS and at most
 * SILENCE_MAX_NS. If the last line was a surplus line, the real answer follows after about the time of one item. */
#define SILENCE_MIN_NS (2 * NS_PER_MS)
#define SILENCE_MAX_NS (1 * NS_PER_S)

static bool is_empty(int pipe_fd)
{
    int bytes = 0;
    return ioctl(pipe_fd, FIONREAD, &bytes) == 0 && bytes == 0;
}

/* The activity of a process's main thread, as the kernel shows it. */
enum activity {
    ACTIVITY_READS_INPUT, /* the thread waits in read(0, ...) */
    ACTIVITY_WAITS,       /* the thread waits for one of several things; input may be one of them */
    ACTIVITY_WORKS,       /* the thread runs, or waits for something else */
    ACTIVITY_UNKNOWN,     /* the kernel does not show it to us, or the process has ended */
};

static const int waits_for_several[] = {
#ifdef SYS_poll
    SYS_poll,  SYS_select,   SYS_epoll_wait,  SYS_pause,
#endif
    SYS_ppoll, SYS_pselect6, SYS_epoll_pwait, SYS_futex, SYS_wait4, SYS_waitid, SYS_rt_sigtimedwait, SYS_rt_sigsuspend};

static enum activity activity_of(pid_t pid)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ACTIVITY_UNKNOWN;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return ACTIVITY_UNKNOWN;
    text[n] = '\0';
    char *end;
    long call = strtol(text, &end, 10);
    if (end == text || call < 0) return ACTIVITY_WORKS; /* "running" */
    if (call == SYS_read) return strncmp(end, " 0x0 ", 5) == 0 ? ACTIVITY_READS_INPUT : ACTIVITY_WORKS;
    for (size_t i = 0; i < ARRAY_SIZE(waits_for_several); i++)
        if (call == waits_for_several[i]) return ACTIVITY_WAITS;
    return ACTIVITY_WORKS;
}

static bool is_silent(const struct window *w, uint64_t now)
{
    uint64_t silence = 2 * w->item_ns;
    if (silence < SILENCE_MIN_NS) silence = SILENCE_MIN_NS;
    if (silence > SILENCE_MAX_NS) silence = SILENCE_MAX_NS;
    return now >= w->head_since_ns + silence;
}

/* Returns whether the process has finished all items of the unconfirmed run. If another run is next, the process must
 * have read the first byte of that run, see first_byte() in process_write.c. */
static bool awaits_input(const struct process *p, uint64_t now)
{
    const struct window *w = &p->window;
    if (!p->in.open) return is_silent(w, now);
    if (process_writes_unconfirmed(p) || !is_empty(p->in.fd)) return false;
    if (w->head) return p->writing.written > 0;
    switch (activity_of(p->child.pid)) {
    case ACTIVITY_READS_INPUT: return true;
    case ACTIVITY_WORKS: return false;
    case ACTIVITY_WAITS:
    case ACTIVITY_UNKNOWN: break;
    }
    return is_silent(w, now);
}

/* The delay grows with the time that has passed, but usually the first or second check is enough. */
uint64_t process_confirm_delay(const struct process *p, uint64_t now)
{
    uint64_t passed = (now - p->window.head_since_ns) / 8;
    return passed < RECHECK_MIN_NS ? RECHECK_MIN_NS : passed > RECHECK_MAX_NS ? RECHECK_MAX_NS : passed;
}

bool process_try_confirm(struct process *p, uint64_t now)
{
    if (process_is_lost(p) || !p->window.unconfirmed) return true;
    if (!awaits_input(p, now)) return false;
    /* Everything that the process has written so far is in the pipe now. If the pipe holds a further line, that line is
     * a surplus line. */
    if (p->out.open) process_read_rest(p, true);
    if (process_is_lost(p) || !p->window.unconfirmed) return true;
    window_confirm(&p->window, now, p->hooks->progress);
    if (!process_is_lost(p)) process_write_runs(p);
    return true;
}

void process_confirm(struct process *p, uint64_t now)
{
    /* After an answer the process usually waits for input again within microseconds. A timer would fire only after a
     * millisecond, so the check is repeated here without a timer. */
    while (!process_try_confirm(p, now) && now_ns() < now + RECHECK_SPIN_NS) sched_yield();
}
