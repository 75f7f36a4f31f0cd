/*
 * Takes a run back that the process has not begun to read. The bytes of the run are still in the socket then, so the
 * worker reads them from the process's end of the socket. So either the process gets the run, or the worker gets it.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "worker/process/process_internal.h"

/* Writes the bytes to the socket again. They fit, because they came from it. But the kernel may have no memory for
 * them; the process then lacks a part of its items, so it is killed. */
static void write_again(struct process *p, const char *bytes, size_t len)
{
    struct fault f;
    if (len == 0 || write(p->in.fd, bytes, len) == (ssize_t)len) return;
    fault_set(&f, ITEM_CRASHED, "its input could not be written: %s", strerror(errno));
    process_kill(p, &f);
}

/* Takes the bytes of the run from the end of the bytes in the socket. If they are not there, leaves the socket as it
 * is. The bytes before them are of an earlier run or of control lines, which the process needs. */
static bool take_from_socket(struct process *p, const struct run *r)
{
    int there = 0;
    if (ioctl(p->in_peer, FIONREAD, &there) != 0 || (size_t)there < r->len) return false;
    char *bytes = xmalloc((size_t)there);
    ssize_t n = recv(p->in_peer, bytes, (size_t)there, MSG_DONTWAIT);
    size_t got = n > 0 ? (size_t)n : 0, before = got >= r->len ? got - r->len : got;
    bool ok = got >= r->len && memcmp(bytes + before, r->chunk->items.data + r->offset, r->len) == 0;
    write_again(p, bytes, ok ? before : got);
    free(bytes);
    return ok && !process_is_lost(p);
}

bool process_recall(struct process *p)
{
    struct window *w = &p->window;
    struct run *r = w->last;
    if (p->state != PROCESS_RUNNING || p->in_peer < 0 || r == w->head) return false;
    if (p->writing.chunk || !p->in.open || !take_from_socket(p, r)) return false;
    log_debug("a run was taken back from a busy process", LOG_CHUNK(r->chunk), LOG_I64("pid", p->child.pid),
              LOG_U64("first_item", r->first), LOG_U64("items", r->count));
    window_remove_last(w);
    p->next_item -= r->count;
    run_return(r, NULL, 0);
    return true;
}
