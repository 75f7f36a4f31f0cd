#include "worker/memory_advice.h"

#include "common/base/buf.h"
#include "common/observe/log.h"

#define OWN_SHARE   8 /* the worker itself needs about an eighth of the limit */
#define NAMED_BYTES 400

/* Returns the largest memory_bytes with which all processes of the task fit into the limit beside the worker. */
static uint64_t suitable_bytes(const struct worker *w, const struct task *t, uint64_t limit_bytes)
{
    return (limit_bytes - limit_bytes / OWN_SHARE) / worker_slots(w, t);
}

void memory_advice_log(const struct worker *w, const struct memory_group *group)
{
    struct buf names = {0};
    uint64_t least = UINT64_MAX;
    size_t more = 0;
    if (!group->limit_bytes || !group->ends_together) return;
    for (size_t i = 0; i < w->tasks.count; i++) {
        const struct task *t = w->tasks.list[i];
        if (t->error || t->memory_bytes) continue;
        uint64_t bytes = suitable_bytes(w, t, group->limit_bytes);
        if (bytes < least) least = bytes;
        if (names.len < NAMED_BYTES)
            buf_addf(&names, "%s%s", names.len ? "," : "", t->name);
        else
            more++;
    }
    if (more) buf_addf(&names, " and %zu more", more);
    if (names.len)
        log_warn("one item that needs too much memory would end this worker with all its items, because the kernel "
                 "ends all processes of this container together; set memory_bytes in the task.json of these tasks",
                 LOG_STR("tasks", buf_cstr(&names)), LOG_U64("limit_bytes", group->limit_bytes),
                 LOG_U64("suitable_memory_bytes", least));
    buf_release(&names);
}
