#include "cli/ssh/ssh_hosts.h"

#include <unistd.h>

#include "cli/base/status_line.h"
#include "common/observe/uuid.h"

void ssh_hosts_init(struct ssh_hosts *s, const struct ssh_targets *targets, const char *folder)
{
    *s = (struct ssh_hosts){.list = xcalloc(targets->count, sizeof *s->list), .count = targets->count};
    for (size_t i = 0; i < s->count; i++) {
        char *socket, *new_socket;
        if (asprintf(&socket, "%s/host-%zu", folder, i + 1) < 0 || asprintf(&new_socket, "%s.new", socket) < 0)
            BUG("out of memory for a path");
        ssh_host_init(&s->list[i], &targets->list[i], socket, new_socket);
    }
}

void ssh_hosts_release(struct ssh_hosts *s)
{
    for (size_t i = 0; i < s->count; i++) ssh_host_release(&s->list[i]);
    free(s->list);
    *s = (struct ssh_hosts){0};
}

size_t ssh_hosts_poll_fds(const struct ssh_hosts *s, struct pollfd *fds, int *timeout_ms)
{
    size_t n = 0;
    uint64_t now = now_ns();
    for (size_t i = 0; i < s->count; i++) {
        n += ssh_host_poll_fds(&s->list[i], fds + n);
        uint64_t due = s->is_stopping ? UINT64_MAX : ssh_host_due_ns(&s->list[i]);
        int wait_ms = due > now ? (int)((due - now) / NS_PER_MS) + 1 : 0;
        if (due != UINT64_MAX && (*timeout_ms < 0 || wait_ms < *timeout_ms)) *timeout_ms = wait_ms;
    }
    if (s->count && status_line_waiting()) fds[n++] = (struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT};
    return n;
}

static void start(struct ssh_hosts *s, struct ssh_host *h, uint64_t now_ns)
{
    char far[sizeof "/tmp/fantail-ssh-" + UUID_TEXT_SIZE], id[UUID_TEXT_SIZE];
    uuid7_new(id);
    snprintf(far, sizeof far, "/tmp/fantail-ssh-%s", id);
    const struct ssh_command command = {.target = h->target,
                                        .near = h->new_socket,
                                        .far = far,
                                        .program = s->program,
                                        .tasks = s->tasks,
                                        .options = s->options};
    char **argv = ssh_command_make(&command);
    ssh_host_start(h, argv, s->envp, now_ns);
    ssh_command_free(argv);
}

bool ssh_hosts_turn(struct ssh_hosts *s, uint64_t now_ns)
{
    bool became_ready = false;
    for (size_t i = 0; i < s->count; i++) {
        struct ssh_host *h = &s->list[i];
        enum ssh_host_state before = h->state;
        ssh_host_turn(h, now_ns);
        became_ready = became_ready || (h->state == SSH_HOST_READY && before != SSH_HOST_READY);
        if (h->state == SSH_HOST_DOWN && !s->is_stopping && h->restart_ns <= now_ns) start(s, h, now_ns);
    }
    if (s->count) status_line_flush();
    return became_ready;
}

void ssh_hosts_ended(struct ssh_hosts *s, pid_t pid, int status, uint64_t now_ns)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].pid == pid) ssh_host_ended(&s->list[i], status, !s->is_stopping, now_ns);
}

void ssh_hosts_stop(struct ssh_hosts *s)
{
    s->is_stopping = true;
    for (size_t i = 0; i < s->count; i++) ssh_host_stop(&s->list[i]);
}

size_t ssh_hosts_running(const struct ssh_hosts *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) n += s->list[i].pid > 0;
    return n;
}

bool ssh_hosts_are_settled(const struct ssh_hosts *s)
{
    bool settled = true;
    for (size_t i = 0; i < s->count; i++) settled = settled && (s->list[i].was_ready || s->list[i].has_failed);
    return settled;
}

bool ssh_hosts_have_failed(const struct ssh_hosts *s)
{
    bool failed = s->count > 0;
    for (size_t i = 0; i < s->count; i++) failed = failed && s->list[i].has_failed && !s->list[i].was_ready;
    return failed;
}
