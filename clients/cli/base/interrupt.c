#include "cli/base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/base/exit_status.h"
#include "common/base/limits.h"

static int event_fd = -1;
static volatile sig_atomic_t end_signal, end_count, reload_asked, kills_at_once;
static volatile uint64_t first_ns; /* when the signal end_signal came */
static bool hangup_reloads, has_terminal_to_lose;

/* Returns whether the signal repeats the first one. One request to end may arrive as two signals, see
 * SAME_SIGNAL_MS. */
static bool is_repeated(int number)
{
    return number == end_signal && now_ns() - first_ns < SAME_SIGNAL_MS * NS_PER_MS;
}

static void on_signal(int number)
{
    int saved = errno;
    if (number == SIGHUP && hangup_reloads) {
        reload_asked = 1;
    } else if (number != SIGCHLD && !is_repeated(number)) {
        if (!end_signal) first_ns = now_ns();
        if (!end_signal) end_signal = number;
        end_count = end_count + 1;
        if (end_count > 2) _exit(EXIT_BY_SIGNAL + number);
        if (kills_at_once) {
            signal(number, SIG_DFL);
            raise(number); /* the signal is delivered when this handler returns, and kills the program */
        }
    }
    uint64_t one = 1;
    ssize_t n = write(event_fd, &one, sizeof(one));
    (void)n;
    errno = saved;
}

void interrupt_init(void)
{
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0) BUG("eventfd failed: %s", strerror(errno));
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++) {
        struct sigaction before;
        sigaction(handled[i], NULL, &before);
        /* A signal that was ignored at the start stays ignored: SIGHUP under nohup, or SIGINT in a shell's background
         * job. */
        if (before.sa_handler == SIG_IGN && handled[i] != SIGCHLD) continue;
        sigaction(handled[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* Returns whether this program has a terminal. When the terminal is closed, this program gets SIGHUP, and /dev/tty can
 * no longer be opened. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

void interrupt_reload_on_hangup(void)
{
    struct sigaction before, action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    hangup_reloads = true;
    sigaction(SIGHUP, &action, &before);
    has_terminal_to_lose = before.sa_handler != SIG_IGN && has_terminal();
}

bool interrupt_take_reload(void)
{
    if (!reload_asked) return false;
    reload_asked = 0;
    if (!has_terminal_to_lose || has_terminal()) return true;
    end_signal = SIGHUP;
    end_count = end_count + 1;
    return false;
}

void interrupt_kills(bool kills)
{
    kills_at_once = kills;
}

int interrupt_fd(void)
{
    return event_fd;
}

void interrupt_clear(void)
{
    uint64_t count;
    ssize_t n = read(event_fd, &count, sizeof(count));
    (void)n;
}

int interrupt_signal(void)
{
    return end_signal;
}

int interrupt_count(void)
{
    return end_count;
}

_Noreturn void interrupt_die_of(int number)
{
    signal(number, SIG_DFL);
    raise(number);
    _exit(EXIT_BY_SIGNAL + number);
}
