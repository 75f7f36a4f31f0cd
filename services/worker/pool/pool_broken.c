/* What the pool does while its task is broken: the task's processes cannot start, or die while they have no item. */
#include "common/observe/log.h"
#include "worker/pool/pool_internal.h"

#define BROKEN_BATCH 1000 /* maximum number of items that are answered in one batch while the task is broken */
/* One call to pool_fail_waiting() writes about this many bytes of answers, which takes a millisecond or two. */
#define BROKEN_TURN_BYTES ((size_t)2 * MIB)

bool pool_fail_waiting(struct pool *p)
{
    struct chunk *c;
    struct buf lines = {0};
    uint64_t in_lines = 0;
    size_t left = BROKEN_TURN_BYTES;
    while (left > 0 && (c = turns_next(&p->turns))) {
        struct run *r = chunk_take(c, BROKEN_BATCH, SIZE_MAX);
        size_t len = r->count * p->broken_line.len;
        left -= len < left ? len : left;
        chunk_ref(c);
        for (; in_lines < r->count; in_lines++) buf_add(&lines, p->broken_line.data, p->broken_line.len);
        c->failed += r->count;
        run_answer(r, lines.data, len, r->count);
        pool_progress(c);
        chunk_unref(c);
    }
    buf_release(&lines);
    return left > 0;
}

/* `again`: the last log line about this task gave the same reason. */
static void log_broken(struct pool *p, const struct fault *f, bool again, uint64_t now)
{
    if (again && now - p->said_ns < POOL_BROKEN_SAY_NS) return;
    char message[sizeof f->cause + 200];
    snprintf(message, sizeof message,
             "task %s %s (%.*s). Its items fail until it is tried again in %g s. %llu start%s failed so far.",
             p->task->name, again ? "still cannot start" : "cannot start", (int)f->own, f->cause,
             (double)p->broken_for_ns / (double)NS_PER_S, (unsigned long long)p->failed_starts,
             p->failed_starts == 1 ? " has" : "s have");
    log_error(message, LOG_SAID(LOG_STR("task", p->task->name)), LOG_SAID(LOG_STRN("cause", f->cause, f->own)),
              LOG_SAID(LOG_MS("retry_in_ms", p->broken_for_ns)), LOG_SAID(LOG_U64("failed_starts", p->failed_starts)));
    p->said_ns = now;
}

void pool_set_broken(struct pool *p, const struct fault *f, const struct process *process, uint64_t now)
{
    p->broken_for_ns = p->broken_for_ns ? p->broken_for_ns * 2 : POOL_BROKEN_MIN_NS;
    if (p->broken_for_ns > POOL_BROKEN_MAX_NS) p->broken_for_ns = POOL_BROKEN_MAX_NS;
    p->broken_until_ns = now + p->broken_for_ns;
    p->deaths = POOL_PROBE_AFTER;
    free(p->broken_cause);
    p->broken_cause = xstrdup(f->cause);
    struct buf line = {0};
    fault_add_line(&line, f, process ? &process->tail.kept : NULL, p->env->worker_id);
    bool again = p->said_ns && line.len == p->broken_line.len && memcmp(line.data, p->broken_line.data, line.len) == 0;
    buf_release(&p->broken_line);
    p->broken_line = line;
    log_broken(p, f, again, now);
}

const char *pool_start_failure(const struct pool *p)
{
    return p->broken_for_ns ? p->broken_cause : NULL;
}

void pool_forget_failures(struct pool *p)
{
    p->deaths = 0;
    p->failed_starts = 0;
    p->broken_for_ns = p->said_ns = 0;
}
