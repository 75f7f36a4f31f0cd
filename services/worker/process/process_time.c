/* The timer of a process. It checks the time limit of the current item and the memory of the process, and confirms
 * answers. */
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/process/process_internal.h"
#include "worker/system/memory.h"

#define ABANDONED_NS    (100 * NS_PER_MS) /* how long an item may still run after its chunk was abandoned */
#define MEMORY_CHECK_NS (50 * NS_PER_MS)
#define RECHECK_MIN_NS  (NS_PER_MS / 2)  /* least time between two checks of whether the process waits for input */
#define RECHECK_SPIN_NS (50 * NS_PER_US) /* after an answer, checks repeat without a pause for this long */
#define RECHECK_MAX_NS  (20 * NS_PER_MS)
/* If the kernel does not show whether a process waits for input, the process must have written nothing for twice the
 * time of an item, within these limits. If its last line was a surplus line, the real answer comes about one item's
 * time later. */
#define SILENCE_MIN_NS (2 * NS_PER_MS)
#define SILENCE_MAX_NS (1 * NS_PER_S)

/* Returns the run whose time limit applies. While a run is unconfirmed, its last item may still be running. */
static const struct run *timed_run(const struct process *p)
{
    return p->window.unconfirmed ? p->window.unconfirmed : p->window.head;
}

/* Returns when the current item must be answered; UINT64_MAX when there is no limit. */
static uint64_t item_deadline(const struct process *p)
{
    const struct run *r = timed_run(p);
    if (!r) return UINT64_MAX;
    uint64_t since = p->window.head_since_ns, until = UINT64_MAX;
    if (r->chunk->item_timeout_ns) until = since + r->chunk->item_timeout_ns;
    if (r->chunk->abandoned_ns) {
        uint64_t from = since > r->chunk->abandoned_ns ? since : r->chunk->abandoned_ns;
        if (from + ABANDONED_NS < until) until = from + ABANDONED_NS;
    }
    return until;
}

static uint64_t start_deadline(const struct process *p)
{
    uint64_t limit = p->task->start_timeout_ns;
    return limit ? p->started_ns + limit : UINT64_MAX;
}

static bool over_time(struct process *p, uint64_t now)
{
    struct fault f;
    if (p->state == PROCESS_STARTING && now >= start_deadline(p)) {
        fault_set(&f, ITEM_START_TIMED_OUT, "the process was not ready after %.3g s (start_timeout_s)",
                  (double)(now - p->started_ns) / (double)NS_PER_S);
    } else if (p->state == PROCESS_ENDING && now >= p->grace_until_ns) {
        fault_set(&f, ITEM_BAD_OUTPUT, "%s", p->grace_cause);
    } else if (now >= item_deadline(p)) {
        double limit = (double)timed_run(p)->chunk->item_timeout_ns / (double)NS_PER_S;
        fault_set(&f, ITEM_TIMED_OUT,
                  p->window.unconfirmed ? "the process answered its last item but did not read its input again within "
                                          "%g s"
                                        : "no answer within %g s",
                  limit);
    } else {
        return false;
    }
    process_kill(p, &f);
    return true;
}

/* Returns whether the process's memory must be checked now: while the process loads and while it has items. */
static bool has_to_be_small(const struct process *p)
{
    return p->window.head || p->state == PROCESS_STARTING;
}

static bool over_memory(struct process *p)
{
    uint64_t limit = p->task->memory_bytes;
    if (!limit || !has_to_be_small(p)) return false;
    uint64_t used = memory_of_tree(p->child.pid);
    if (used <= limit) return false;
    struct fault f;
    fault_set(&f, ITEM_OUT_OF_MEMORY, "the process used %llu bytes of memory, more than memory_bytes (%llu)",
              (unsigned long long)used, (unsigned long long)limit);
    process_kill(p, &f);
    return true;
}

/* ---- confirming answers ---- */

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

/* Returns whether the process has finished all items that it was given. If another run is next, the process must have
 * read the first byte of that run, see first_byte() in process_write.c. */
static bool awaits_input(const struct process *p, uint64_t now)
{
    const struct window *w = &p->window;
    if (!p->in.open) return is_silent(w, now);
    if (!is_empty(p->in.fd)) return false;
    if (w->head) return p->written > 0;
    switch (activity_of(p->child.pid)) {
    case ACTIVITY_READS_INPUT: return true;
    case ACTIVITY_WORKS: return false;
    case ACTIVITY_WAITS:
    case ACTIVITY_UNKNOWN: break;
    }
    return is_silent(w, now);
}

/* Returns the pause before the next check. Usually the first or second check is enough. */
static uint64_t recheck_delay(const struct process *p, uint64_t now)
{
    uint64_t passed = (now - p->window.head_since_ns) / 8;
    return passed < RECHECK_MIN_NS ? RECHECK_MIN_NS : passed > RECHECK_MAX_NS ? RECHECK_MAX_NS : passed;
}

/* Tries to confirm the unconfirmed run. Returns true if nothing is left to confirm, or if the process is lost. */
static bool confirm(struct process *p, uint64_t now)
{
    if (process_is_lost(p) || !p->window.unconfirmed) return true;
    if (!awaits_input(p, now)) return false;
    /* Everything that the process has written so far is in the pipe now. A further line would be a surplus line. */
    if (p->out.open) process_read_rest(p, true);
    if (process_is_lost(p) || !p->window.unconfirmed) return true;
    window_confirm(&p->window, now, p->hooks->progress);
    if (!process_is_lost(p)) process_write_runs(p);
    return true;
}

void process_confirm(struct process *p, uint64_t now)
{
    /* After an answer the process usually waits for input again within microseconds. A timer would fire only after a
     * millisecond. */
    while (!confirm(p, now) && now_ns() < now + RECHECK_SPIN_NS) sched_yield();
}

/* ---- the timer ---- */

static void on_timer(uv_timer_t *timer)
{
    struct process *p = timer->data;
    uint64_t now = now_ns();
    if (process_is_lost(p)) return;
    /* The pipe is read first, because the answer may be in it already. */
    if (p->out.open) process_on_readable(&p->out.poll, 0, UV_READABLE);
    confirm(p, now);
    if (process_is_lost(p) || over_time(p, now) || over_memory(p)) return;
    if (p->state == PROCESS_STARTING) p->hooks->starting(p);
    process_check_time(p, now);
}

/* Never moves a running timer to a later time, because on_timer() checks the time limits again. So quick items need no
 * timer calls. */
void process_check_time(struct process *p, uint64_t now)
{
    if (process_is_lost(p)) return;
    uint64_t until = item_deadline(p);
    if (p->task->memory_bytes && has_to_be_small(p) && now + MEMORY_CHECK_NS < until) until = now + MEMORY_CHECK_NS;
    if (p->state == PROCESS_ENDING && p->grace_until_ns < until) until = p->grace_until_ns;
    if (p->state == PROCESS_STARTING && now + PROCESS_STARTING_NS < until) until = now + PROCESS_STARTING_NS;
    if (p->state == PROCESS_STARTING && start_deadline(p) < until) until = start_deadline(p);
    uint64_t recheck_ns = p->window.unconfirmed ? now + recheck_delay(p, now) : UINT64_MAX;
    if (recheck_ns < until) until = recheck_ns;
    if (until == UINT64_MAX) return;
    uint64_t ms = until > now ? (until - now) / NS_PER_MS + 1 : 0;
    if (uv_is_active((const uv_handle_t *)&p->timer) && uv_timer_get_due_in(&p->timer) <= ms) return;
    uv_timer_start(&p->timer, on_timer, ms, 0);
}
