#include "coordinator/job/job_hint.h"

#include "common/json/json_walk.h"
#include "coordinator/job/job_internal.h"

/* Longer items are not checked, because checking them would delay the loop. */
enum { LOOK_BYTES = 1024 * 1024 };

static enum job_likeness likeness_of_item(const char *item, size_t len)
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

enum job_likeness job_likeness_of(const struct splitter *s)
{
    if (s->format != SPLIT_NDJSON || s->item_count != 1 || s->items_in_buf != 1) return LIKE_NOTHING;
    return likeness_of_item(s->items.data, s->items.len - 1);
}

const char *job_likeness_hint(enum job_likeness likeness, bool failed)
{
    if (likeness == LIKE_NOTHING || (likeness != LIKE_JOB && !failed)) return NULL;
    if (likeness == LIKE_ITEMS)
        return "the whole array is one item: send each of its values on its own line, or send the array as the items "
               "of a job object, with the Content-Type application/json";
    return "the only item looks like a job object: send that object with the Content-Type application/json, and give "
           "each option, including the task, either in the object or in the query";
}

const char *job_hint(const struct job *j)
{
    bool is_only = j->submission.splitter.item_count == 1;
    const char *hint = is_only ? job_likeness_hint(j->submission.likeness, j->outcome.counts.failed > 0) : NULL;
    if (hint || !j->submission.prefers_durable) return hint;
    return "the coordinator has no job store (--store), so it ignored the header Prefer: the job is not durable";
}
