/* Writes runs to the stdin of a process. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/loop/progress.h"
#include "worker/process/numbered.h"
#include "worker/process/process_internal.h"

#define NUMBERED_COPIED_BYTES (64 * KIB) /* shorter items are copied together with their ids */

static void on_writable(uv_poll_t *poll, int status, int events);

/* Makes libuv wait for room in the stdin pipe. But if the pipe can be enlarged, enlarges it and returns false, because
 * the pipe has room now. */
static bool wait_for_room(struct process *p)
{
    if (!p->in.enlarged) {
        /* Only pipes that were full are enlarged, because the kernel lets an unprivileged user enlarge only a few
         * pipes. */
        p->in.enlarged = true;
        if (fcntl(p->in.fd, F_SETPIPE_SZ, (int)PROCESS_PIPE_BYTES) > 0) return false;
    }
    if (!p->in.waits) uv_poll_start(&p->in.poll, UV_WRITABLE, on_writable);
    p->in.waits = true;
    return true;
}

bool process_write_stopped(struct process *p)
{
    if (errno == EINTR) return false;
    if (errno == EAGAIN) return wait_for_room(p);
    process_close_pipe(&p->in);
    process_expect_end(p, "the process closed its stdin");
    return true;
}

void process_stop_waiting_for_room(struct process *p)
{
    if (!p->in.waits) return;
    p->in.waits = false;
    uv_poll_stop(&p->in.poll);
}

#define PROCESS_IOV (PROCESS_PREAMBLE + 3)

/* Returns whether the current run is one long item, which is written from its place in the chunk. */
static bool writes_long_item(const struct process *p)
{
    return p->window.form == FORM_NUMBERED && p->writing.alone && p->writing.len >= NUMBERED_COPIED_BYTES;
}

/* Sets `parts` to the bytes to write for the current run. In the form with ids, the items are in p->numbered. But a
 * long item is not copied: p->numbered has only the bytes before the item, and `after` follows the item. */
static void find_parts(const struct process *p, struct iovec parts[PROCESS_IOV])
{
    static char after[] = NUMBERED_AFTER;
    const struct process_writing *now = &p->writing;
    struct iovec items = {now->chunk->items.data + now->offset, now->len};
    for (int i = 0; i < PROCESS_PREAMBLE; i++)
        if (p->preamble[i]) parts[i] = (struct iovec){p->preamble[i]->lines, p->preamble[i]->len};
    struct iovec *part = parts + PROCESS_PREAMBLE;
    if (p->window.form != FORM_NUMBERED) {
        part[0] = items;
        return;
    }
    part[0] = (struct iovec){p->numbered.data, p->numbered.len};
    if (!writes_long_item(p)) return;
    part[1] = (struct iovec){items.iov_base, numbered_item_bytes(items.iov_base, items.iov_len)};
    part[2] = (struct iovec){after, sizeof after - 1};
}

/* Sets iov to the unwritten bytes of the current run, and *left to their number. Returns the length of iov. */
static int fill_iov(const struct process *p, struct iovec iov[PROCESS_IOV], size_t *left)
{
    struct iovec parts[PROCESS_IOV] = {0};
    size_t at = p->writing.written;
    int n = 0;
    *left = 0;
    find_parts(p, parts);
    for (int i = 0; i < PROCESS_IOV; i++) {
        size_t len = parts[i].iov_len, skip = at < len ? at : len;
        at -= skip;
        if (skip == len) continue;
        iov[n++] = (struct iovec){(char *)parts[i].iov_base + skip, len - skip};
        *left += len - skip;
    }
    return n;
}

/* Stores `value` as the value that the process has. Returns the control lines to send: `value`, or `none` if `value` is
 * NULL. */
static struct common_value *set_preamble(struct common_value **current, struct common_value *value,
                                         struct common_value *none)
{
    common_value_unref(*current);
    *current = common_value_ref(value);
    return value ? value : none;
}

/* Sets p->numbered to the items of the run with their ids, or to the bytes before a long item. */
static void number_items(struct process *p, const struct run *r)
{
    buf_clear(&p->numbered);
    if (writes_long_item(p))
        numbered_add_before(&p->numbered, p->next_item);
    else
        numbered_add_items(&p->numbered, r->chunk->items.data + r->offset, r->len, p->next_item);
}

void process_end_writing(struct process *p)
{
    chunk_unref(p->writing.chunk);
    p->writing = (struct process_writing){0};
    buf_clear(&p->numbered);
}

void process_choose_preamble(struct process *p, const struct chunk *c, struct common_value *lines[PROCESS_PREAMBLE])
{
    static struct common_value *no_common, *no_trace;
    if (!no_common) {
        no_common = common_value_new("null", 4);
        no_trace = common_value_from_lines("#traceparent\n", 13);
    }
    lines[0] = lines[1] = NULL;
    if (p->task->common && !common_value_equal(p->common, c->common))
        lines[0] = set_preamble(&p->common, c->common, no_common);
    if (p->task->trace && p->trace != c->trace) lines[1] = set_preamble(&p->trace, c->trace, no_trace);
}

void process_begin_run(struct process *p, const struct run *r)
{
    const struct window *w = &p->window;
    /* The process may have answered runs before they were written. These runs are skipped. */
    if (r == w->head) p->next_item = w->answered - r->answered + 1;
    p->writing = (struct process_writing){.chunk = chunk_ref(r->chunk),
                                          .run = r,
                                          .offset = r->offset,
                                          .len = r->len,
                                          .alone = r->count == 1,
                                          .last = p->next_item + r->count - 1};
    if (w->form == FORM_NUMBERED) number_items(p, r);
    p->next_item += r->count;
    process_choose_preamble(p, r->chunk, p->preamble);
}

/* If there is a run after the present one, begins to write that run. */
static void begin_next_run(struct process *p)
{
    const struct run *next = p->window.answered >= p->writing.last ? p->window.head : p->writing.run->next_given;
    process_end_writing(p);
    if (next) process_begin_run(p, next);
}

/* While a run is unconfirmed, only the first byte of the next run is written. When the process has read this byte, it
 * has finished all earlier items. One byte is not enough to begin an item. */
static int first_byte(const struct process *p, struct iovec *iov)
{
    iov->iov_len = 1;
    return p->writing.written == 0;
}

void process_write_runs(struct process *p)
{
    while (p->writing.chunk && p->in.open) {
        struct iovec iov[PROCESS_IOV];
        size_t left;
        int count = fill_iov(p, iov, &left);
        if (p->window.unconfirmed && !process_writes_unconfirmed(p)) count = first_byte(p, iov);
        if (count == 0) break;
        ssize_t n = writev(p->in.fd, iov, count);
        if (n < 0 && process_write_stopped(p)) return;
        if (n < 0) continue;
        progress_note();
        p->writing.written += (size_t)n;
        if ((size_t)n == left) begin_next_run(p);
    }
    process_stop_waiting_for_room(p);
    process_close_input(p);
}

/* A process that answers in any order needs its stdin until it has answered all items, because they may be cancelled.
 */
void process_close_input(struct process *p)
{
    bool in_any_order = p->window.form == FORM_ANY_ORDER;
    bool needed = in_any_order ? p->window.head || !process_outbox_is_empty(p) : p->writing.chunk != NULL;
    if (p->retired && !needed) process_close_pipe(&p->in);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    if (p->window.form == FORM_ANY_ORDER)
        process_write_outbox(p);
    else
        process_write_runs(p);
}
