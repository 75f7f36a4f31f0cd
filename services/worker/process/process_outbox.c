/* Writes to the stdin of a process that answers in any order. Items and cancel lines are collected, and written
 * together. */
#include <errno.h>
#include <unistd.h>

#include "common/base/memory_room.h"
#include "common/loop/progress.h"
#include "worker/process/numbered.h"
#include "worker/process/process_internal.h"

#define OUTBOX_KEPT_BYTES (256 * KIB) /* a larger buffer is freed when it is empty */

bool process_has_memory(const struct process *p, const struct run *r)
{
    return memory_has_room(buf_growth(&p->outbox, r->len));
}

void process_post_run(struct process *p, const struct run *r)
{
    struct common_value *preamble[PROCESS_PREAMBLE];
    process_choose_preamble(p, r->chunk, preamble);
    for (int i = 0; i < PROCESS_PREAMBLE; i++)
        if (preamble[i]) buf_add(&p->outbox, preamble[i]->lines, preamble[i]->len);
    numbered_add_items(&p->outbox, r->chunk->items.data + r->offset, r->len, r->by_id.hash);
}

void process_post_cancel(struct process *p, const struct run *r)
{
    buf_addf(&p->outbox, "#cancel %llu\n", (unsigned long long)r->by_id.hash);
}

bool process_outbox_is_empty(const struct process *p)
{
    return p->outbox_written == p->outbox.len;
}

static void clear(struct process *p)
{
    p->outbox_written = 0;
    if (p->outbox.alloc > OUTBOX_KEPT_BYTES)
        buf_release(&p->outbox);
    else
        buf_clear(&p->outbox);
}

void process_write_outbox(struct process *p)
{
    while (p->in.open && !process_outbox_is_empty(p)) {
        ssize_t n = write(p->in.fd, p->outbox.data + p->outbox_written, p->outbox.len - p->outbox_written);
        if (n < 0 && process_write_stopped(p)) return;
        if (n < 0) continue;
        progress_note();
        p->outbox_written += (size_t)n;
    }
    clear(p);
    process_stop_waiting_for_room(p);
    process_close_input(p);
}
