/* Recognises a single item that is in fact a job object, or an array of all items. A hint then says how to send it.
 * Another hint says that a preference for a durable job was ignored. */
#include "common/json/json_walk.h"
#include "coordinator/job/job_internal.h"

/* Longer items are not checked, because that would delay the loop. */
enum { LOOK_BYTES = 1024 * 1024 };

enum job_likeness job_likeness(const char *item, size_t len)
{
    struct json_walk walk;
    struct json_slice name;
    bool task = false, source = false;
    if (len && item[0] == '[') return LIKE_ITEMS;
    if (!len || len > LOOK_BYTES || item[0] != '{' || !json_walk_init(&walk, item, len)) return LIKE_NOTHING;
    while (json_walk_next(&walk, &name, NULL)) {
        task |= json_string_is(name, "task");
        source |= json_string_is(name, "items") || json_string_is(name, "range") || json_string_is(name, "spans");
    }
    if (!source) return LIKE_NOTHING;
    return task ? LIKE_JOB : LIKE_SOURCE;
}

/* Returns a hint about the only item, or NULL. The job is not refused, because the item may be meant as it is: a task
 * may take an array, or an object with members such as `task` and `items`. */
static const char *item_hint(const struct job *j)
{
    const struct submission *s = &j->submission;
    bool failed = j->outcome.counts.failed > 0;
    if (s->splitter.item_count != 1 || s->likeness == LIKE_NOTHING) return NULL;
    if (s->likeness != LIKE_JOB && !failed) return NULL;
    if (s->likeness == LIKE_ITEMS)
        return "the whole array is one item: send each of its values on a line of its own, or send it as the items of "
               "a job object as application/json";
    return "the only item looks like a job object: send that object as application/json, and give each option, "
           "including the task, either in the object or in the query";
}

const char *job_hint(const struct job *j)
{
    const char *hint = item_hint(j);
    if (hint || !j->submission.prefers_durable) return hint;
    return "the coordinator has no job store (--store), so it ignored the header Prefer: the job is not durable";
}
