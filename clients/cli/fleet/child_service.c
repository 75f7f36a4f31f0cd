#include "cli/fleet/child_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/base/spawn_group.h"

static const char *const state_names[] = {"down", "starting", "ready"};
static_assert(ARRAY_SIZE(state_names) == CHILD_STATE_COUNT, "a name for each state");

/* The only function that changes a state. */
static void move(struct child_service *s, enum child_state to)
{
    static const enum child_state before[] = {[CHILD_STARTING] = CHILD_DOWN, [CHILD_READY] = CHILD_STARTING};
    if (to != CHILD_DOWN && s->state != before[to]) BUG("a service: %s to %s", state_names[s->state], state_names[to]);
    s->state = to;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void child_service_init(struct child_service *s)
{
    *s = (struct child_service){.state = CHILD_DOWN, .ready_fd = -1, .stderr_fd = -1, .reserved_fd = -1};
}

/* Reserves the port with a socket that is bound but never listens. The kernel does not choose this port for another
 * program. After the bind, this function sets SO_REUSEADDR. The service also sets SO_REUSEADDR, so the service can bind
 * the same port and listen on it. */
bool child_service_reserve_port(struct child_service *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    s->reserved_fd = fd;
    s->port = ntohs(address.sin_port);
    return true;
}

static int spawn(struct child_service *s, int ready_fd, char *const argv[], char *const envp[])
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ready_fd, CHILD_READY_FD);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (s->stderr_fd >= 0) posix_spawn_file_actions_adddup2(&actions, s->stderr_fd, STDERR_FILENO);
    return spawn_group(&s->pid, &actions, argv, envp);
}

int child_service_start(struct child_service *s, char *const argv[], char *const envp[], uint64_t now)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return errno;
    /* The number of the write end must not be CHILD_READY_FD, because dup2 onto the same number would keep
     * close-on-exec set. */
    int write_end = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_READY_FD + 1);
    close(ends[1]);
    int error = write_end < 0 ? errno : spawn(s, write_end, argv, envp);
    if (write_end >= 0) close(write_end);
    if (error) {
        close(ends[0]);
        s->pid = 0;
        return error;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    close_fd(&s->ready_fd);
    s->ready_fd = ends[0];
    s->line_len = 0;
    s->started_ns = now;
    move(s, CHILD_STARTING);
    return 0;
}

bool child_service_read(struct child_service *s)
{
    if (s->ready_fd < 0) return false;
    ssize_t n = read(s->ready_fd, s->line + s->line_len, sizeof(s->line) - 1 - s->line_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n > 0) s->line_len += (size_t)n;
    s->line[s->line_len] = '\0';
    bool whole = strchr(s->line, '\n') != NULL;
    if (n > 0 && !whole && s->line_len < sizeof(s->line) - 1) return false;
    close_fd(&s->ready_fd);
    if (!whole || strncmp(s->line, "ready ", 6) != 0) return false;
    move(s, CHILD_READY);
    return true;
}

void child_service_ended(struct child_service *s)
{
    close_fd(&s->ready_fd);
    s->pid = 0;
    move(s, CHILD_DOWN);
}

void child_service_release(struct child_service *s)
{
    close_fd(&s->ready_fd);
    close_fd(&s->reserved_fd);
}
