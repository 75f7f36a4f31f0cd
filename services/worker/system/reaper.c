#include "worker/system/reaper.h"
#include "worker/system/descendants.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void on_signal(uv_signal_t *signal, int number)
{
    reaper_poll(signal->data);
}

bool reaper_init(struct reaper *r, uv_loop_t *loop)
{
    *r = (struct reaper){0};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (uv_signal_init(loop, &r->signal) != 0) return false;
    r->signal.data = r;
    if (uv_signal_start(&r->signal, on_signal, SIGCHLD) != 0) return false;
    uv_unref((uv_handle_t *)&r->signal);
    return true;
}

void reaper_close(struct reaper *r)
{
    uv_close((uv_handle_t *)&r->signal, NULL);
}

uint64_t reaper_new_token(struct reaper *r)
{
    return ++r->last_token;
}

void reaper_add(struct reaper *r, struct reaped *child)
{
    child->next = r->children;
    r->children = child;
}

/* Returns whether an adopted child may live on. An adopted child is killed when the task process that started this
 * child has ended. */
static bool may_live(void *data, pid_t pid, uint64_t token)
{
    const struct reaper *r = data;
    for (const struct reaped *c = r->children; c; c = c->next)
        if (c->pid == pid || (token && c->token == token)) return true;
    return false;
}

/* Removes the child from the list and returns it; NULL if the child was adopted. */
static struct reaped *forget(struct reaper *r, pid_t pid)
{
    for (struct reaped **at = &r->children; *at; at = &(*at)->next) {
        if ((*at)->pid != pid) continue;
        struct reaped *c = *at;
        *at = c->next;
        return c;
    }
    return NULL;
}

bool reaper_poll(struct reaper *r)
{
    bool any = false, left;
    for (;;) {
        siginfo_t info = {0};
        left = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
        if (!left || info.si_pid == 0) break;
        any = true;
        struct reaped *c = forget(r, info.si_pid);
        /* The process group is killed before wait4() reaps the child, because no other group can have the same id
         * before the child has been reaped. */
        if (c) kill(-info.si_pid, SIGKILL);
        int status = 0;
        struct rusage usage = {0};
        wait4(info.si_pid, &status, WNOHANG, &usage);
        if (c) c->on_exit(c, status, &usage);
    }
    if (any) descendants_kill(may_live, r);
    return left;
}
