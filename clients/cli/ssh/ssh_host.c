#include "cli/ssh/ssh_host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/spawn_group.h"
#include "common/net/unix_address.h"

/* The longest pause is longer for a host that has never been ready, because many failed logins may get a user banned
 * from a host. */
#define PAUSE_MIN_MS   1000
#define PAUSE_LOST_MS  15000
#define PAUSE_MAX_MS   60000
#define START_LIMIT_MS 60000 /* for the start of the worker and the check of the tunnel */
#define LINE_BYTES     4096
#define SAID_BYTES     (16 * 1024)

static const char *const state_names[] = {"down", "starting", "checking", "ready"};
static_assert(ARRAY_SIZE(state_names) == SSH_HOST_STATE_COUNT, "a name for each state");

/* The only function that changes a state. */
static void move(struct ssh_host *h, enum ssh_host_state to)
{
    if (to != SSH_HOST_DOWN && h->state + 1 != to) BUG("a host: %s to %s", state_names[h->state], state_names[to]);
    h->state = to;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_all(struct ssh_host *h)
{
    int *const fds[] = {&h->beat_fd, &h->ready_fd, &h->stderr_fd, &h->check_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) close_fd(fds[i]);
}

void ssh_host_init(struct ssh_host *h, const struct ssh_target *target, char *socket, char *new_socket)
{
    *h = (struct ssh_host){.target = target,
                           .beat_fd = -1,
                           .ready_fd = -1,
                           .stderr_fd = -1,
                           .check_fd = -1,
                           .socket = socket,
                           .new_socket = new_socket,
                           .pause_ms = PAUSE_MIN_MS};
    buf_init(&h->line, LINE_BYTES);
    buf_init(&h->said, SAID_BYTES);
    if (asprintf(&h->prefix, "%s: ", target->name) < 0) BUG("out of memory for a name");
    h->relay.prefix = h->prefix;
}

void ssh_host_release(struct ssh_host *h)
{
    close_all(h);
    relay_end(&h->relay);
    relay_release(&h->relay);
    buf_release(&h->line);
    buf_release(&h->said);
    free(h->prefix);
    free(h->socket);
    free(h->new_socket);
}

/* Failures. */

/* Returns the last line that ssh or the host has said, without a full stop; NULL: none. */
static const char *last_words(struct ssh_host *h)
{
    struct buf *said = &h->said;
    while (said->len && ((unsigned char)said->data[said->len - 1] <= ' ' || said->data[said->len - 1] == '.'))
        said->len--;
    if (!said->len) return NULL;
    const char *text = buf_cstr(said), *newline = memrchr(text, '\n', said->len);
    return newline ? newline + 1 : text;
}

/* Tells the user if the reason is not the same as last time, and plans the next start. */
static void fail(struct ssh_host *h, const char *reason, bool is_told, uint64_t now)
{
    h->has_failed = true;
    if (is_told && strncmp(h->failure, reason, sizeof h->failure - 1) != 0) {
        snprintf(h->failure, sizeof h->failure, "%s", reason);
        complain("%s cannot be used: %s. The fleet runs without it, and tries it again", h->target->name, h->failure);
    }
    h->restart_ns = now + h->pause_ms * NS_PER_MS;
    uint64_t most = h->was_ready ? PAUSE_LOST_MS : PAUSE_MAX_MS;
    h->pause_ms = h->pause_ms * 2 < most ? h->pause_ms * 2 : most;
}

static void lose(struct ssh_host *h, int status, bool is_told, uint64_t now)
{
    bool by_ssh = WIFSIGNALED(status) || WEXITSTATUS(status) == 255;
    if (is_told && by_ssh)
        complain("the connection to %s is lost; trying again", h->target->name);
    else if (is_told)
        complain("the worker on %s ended with status %d; starting it again", h->target->name, WEXITSTATUS(status));
    h->failure[0] = '\0';
    h->pause_ms = PAUSE_MIN_MS;
    h->restart_ns = now + h->pause_ms * NS_PER_MS;
}

static void end_ssh(struct ssh_host *h, const char *why)
{
    h->ended_for = why;
    kill(h->pid, SIGTERM);
}

/* Starting. */

static int spawn(struct ssh_host *h, const int fds[3], char *const argv[], char *const envp[])
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    return spawn_group(&h->pid, &actions, argv, envp);
}

/* No process inherits our ends of the pipes. So even if this program is killed, the standard input of ssh ends, which
 * ends the worker. */
static int start(struct ssh_host *h, char *const argv[], char *const envp[])
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    bool open = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
    int error = open ? spawn(h, (int[]){in[0], out[1], err[1]}, argv, envp) : errno;
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    h->beat_fd = in[1];
    h->ready_fd = out[0];
    h->stderr_fd = err[0];
    int *const ours[] = {&h->beat_fd, &h->ready_fd, &h->stderr_fd};
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (error)
            close_fd(ours[i]);
        else
            fcntl(*ours[i], F_SETFL, O_NONBLOCK);
    return error;
}

void ssh_host_start(struct ssh_host *h, char *const argv[], char *const envp[], uint64_t now_ns)
{
    char reason[128];
    buf_clear(&h->said);
    buf_clear(&h->line);
    h->answer_len = 0;
    h->ended_for = NULL;
    h->started_ns = h->beat_ns = now_ns;
    int error = start(h, argv, envp);
    if (!error) {
        move(h, SSH_HOST_STARTING);
        return;
    }
    h->pid = 0;
    snprintf(reason, sizeof reason, "cannot start %s: %s", argv[0], strerror(error));
    fail(h, reason, true, now_ns);
}

/* The loop. */

uint64_t ssh_host_due_ns(const struct ssh_host *h)
{
    return h->state == SSH_HOST_DOWN ? h->restart_ns : h->beat_ns;
}

size_t ssh_host_poll_fds(const struct ssh_host *h, struct pollfd *fds)
{
    size_t n = 0;
    if (h->ready_fd >= 0) fds[n++] = (struct pollfd){.fd = h->ready_fd, .events = POLLIN};
    if (h->check_fd >= 0) fds[n++] = (struct pollfd){.fd = h->check_fd, .events = POLLIN};
    if (h->stderr_fd >= 0 && relay_has_room()) fds[n++] = (struct pollfd){.fd = h->stderr_fd, .events = POLLIN};
    return n;
}

/* Appends the bytes. The buffer holds at most SAID_BYTES: if the new bytes do not fit, they replace the earlier ones.
 */
static void keep(struct buf *said, const char *data, size_t len)
{
    if (buf_add(said, data, len)) return;
    buf_clear(said);
    buf_add(said, data, len);
}

static void read_stderr(struct ssh_host *h)
{
    char data[4096];
    while (h->stderr_fd >= 0 && relay_has_room()) {
        ssize_t n = read(h->stderr_fd, data, sizeof data);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0)
            close_fd(&h->stderr_fd);
        else if (h->state == SSH_HOST_READY)
            relay_add(&h->relay, data, (size_t)n);
        else
            keep(&h->said, data, (size_t)n);
    }
}

/* Asks the worker through the tunnel whether it lives. */
static void begin_check(struct ssh_host *h)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: fantail\r\nConnection: close\r\n\r\n";
    move(h, SSH_HOST_CHECKING);
    h->check_fd = unix_address_connect(h->new_socket);
    if (h->check_fd < 0 || write(h->check_fd, request, sizeof request - 1) != (ssize_t)(sizeof request - 1))
        end_ssh(h, "ssh does not forward a socket file");
}

/* A login shell may print more than the ready line. Lines that are too long are dropped. */
static void read_ready(struct ssh_host *h)
{
    char data[512];
    ssize_t n;
    while (h->ready_fd >= 0 && (n = read(h->ready_fd, data, sizeof data)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) break;
        for (ssize_t i = 0; i < n; i++) {
            if (data[i] != '\n') {
                if (!buf_add_char(&h->line, data[i])) buf_clear(&h->line);
                continue;
            }
            bool is_ready = strncmp(buf_cstr(&h->line), "ready ", 6) == 0;
            buf_clear(&h->line);
            if (is_ready && h->state == SSH_HOST_STARTING && !h->ended_for) begin_check(h);
        }
    }
    close_fd(&h->ready_fd);
}

static void become_ready(struct ssh_host *h)
{
    if (rename(h->new_socket, h->socket) < 0) {
        end_ssh(h, "its socket file cannot be renamed");
        return;
    }
    move(h, SSH_HOST_READY);
    if (h->was_ready || h->has_failed) complain("%s is ready%s", h->target->name, h->was_ready ? " again" : "");
    h->was_ready = true;
    h->failure[0] = '\0';
    h->pause_ms = PAUSE_MIN_MS;
    relay_add(&h->relay, h->said.data, h->said.len);
    buf_clear(&h->said);
}

static void read_check(struct ssh_host *h)
{
    static const char wanted[] = "HTTP/1.";
    static_assert(sizeof wanted == sizeof h->answer, "the whole word fits");
    ssize_t n = read(h->check_fd, h->answer + h->answer_len, sizeof wanted - 1 - h->answer_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) h->answer_len += (size_t)n;
    if (n > 0 && h->answer_len < sizeof wanted - 1) return;
    close_fd(&h->check_fd);
    if (n > 0 && memcmp(h->answer, wanted, sizeof wanted - 1) == 0)
        become_ready(h);
    else
        end_ssh(h, "its sshd does not forward to socket files (AllowStreamLocalForwarding)");
}

static void beat(struct ssh_host *h, uint64_t now)
{
    if (now < h->beat_ns) return;
    /* If the pipe is full, ssh cannot send, and ends by itself after a while. */
    if (h->beat_fd >= 0 && write(h->beat_fd, "\n", 1) < 0 && errno == EPIPE) close_fd(&h->beat_fd);
    h->beat_ns = now + SSH_BEAT_MS * NS_PER_MS;
}

void ssh_host_turn(struct ssh_host *h, uint64_t now_ns)
{
    if (h->state == SSH_HOST_DOWN) return;
    read_stderr(h);
    read_ready(h);
    if (h->check_fd >= 0) read_check(h);
    beat(h, now_ns);
    if (h->state != SSH_HOST_READY && !h->ended_for && now_ns >= h->started_ns + START_LIMIT_MS * NS_PER_MS)
        end_ssh(h, "its worker was not ready in time");
}

void ssh_host_ended(struct ssh_host *h, int status, bool is_told, uint64_t now_ns)
{
    char text[64];
    read_stderr(h);
    relay_end(&h->relay);
    close_all(h);
    unlink(h->socket);
    unlink(h->new_socket);
    h->pid = 0;
    bool was_ready = h->state == SSH_HOST_READY;
    move(h, SSH_HOST_DOWN);
    if (was_ready) {
        lose(h, status, is_told, now_ns);
        return;
    }
    const char *words = h->ended_for ? h->ended_for : last_words(h);
    snprintf(text, sizeof text, "ssh ended with status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    fail(h, words ? words : text, is_told, now_ns);
}

void ssh_host_stop(struct ssh_host *h)
{
    close_fd(&h->beat_fd);
    if (h->state == SSH_HOST_STARTING && h->pid) kill(h->pid, SIGTERM);
}
