#include "coordinator/claims/claim_offer.h"

/* Returns the next name of a comma-separated list, and moves *at to the rest; false at the end. */
static bool next_name(const char **at, const char **name, size_t *len)
{
    if (!*at) return false;
    *name = *at;
    *len = strcspn(*at, ",");
    *at = (*at)[*len] ? *at + *len + 1 : NULL;
    return true;
}

static bool is_among(const char *tasks, const char *task)
{
    const char *name;
    size_t len;
    while (next_name(&tasks, &name, &len))
        if (strlen(task) == len && memcmp(name, task, len) == 0) return true;
    return false;
}

static bool is_pipeline(const char *tasks)
{
    return strchr(tasks, ',') != NULL;
}

/* Returns whether the scheduler knows that no endpoint takes chunks of this task or pipeline now. */
static bool is_unserved(const struct sched_task_stats *t)
{
    return t->endpoints == 0 && t->full == 0;
}

bool claim_leaves_slots(uint64_t slots, uint64_t demand)
{
    return demand < (slots > 0 ? slots : 1);
}

static bool scheduler_lacks(const struct claim_view *v, const char *tasks)
{
    struct sched_task_stats stats;
    return sched_task_stats(v->scheduler, tasks, &stats) && is_unserved(&stats);
}

static bool serves_one(const struct claim_view *v, const struct catalog_task *t)
{
    return t && t->workers > 0 && !scheduler_lacks(v, t->name);
}

/* The demand for a task: that of the jobs of the task, and of all pipelines that contain it. */
struct demand {
    const char *task;
    uint64_t slots;
};

static void add_demand(void *data, const struct sched_task_stats *stats)
{
    struct demand *d = data;
    if (is_among(stats->name, d->task)) d->slots += stats->demand_slots;
}

static bool opens_one(const struct claim_view *v, const struct catalog_task *t)
{
    struct sched_task_stats stats;
    struct demand demand = {t->name, v->coming};
    bool is_known = sched_task_stats(v->scheduler, t->name, &stats) && stats.slots > 0;
    sched_each_task(v->scheduler, add_demand, &demand);
    uint64_t left = demand.slots > v->leaving ? demand.slots - v->leaving : 0;
    return claim_leaves_slots(is_known ? stats.slots : t->slots, left);
}

static const struct catalog_task *find(const struct claim_view *v, const char *name, size_t len)
{
    char *copy = xstrndup(name, len);
    const struct catalog_task *t = catalog_find(v->catalog, copy);
    free(copy);
    return t;
}

static bool all_are(const struct claim_view *v, const char *tasks, bool open)
{
    const char *at = tasks, *name;
    size_t len;
    while (next_name(&at, &name, &len)) {
        const struct catalog_task *t = find(v, name, len);
        if (!serves_one(v, t) || (open && !opens_one(v, t))) return false;
    }
    return !scheduler_lacks(v, tasks);
}

bool claim_serves(const struct claim_view *v, const char *tasks)
{
    return all_are(v, tasks, false);
}

bool claim_opens(const struct claim_view *v, const char *tasks)
{
    return all_are(v, tasks, true);
}

static void add_name(struct buf *list, const char *prefix, const char *name)
{
    buf_addf(list, "%s\"%s%s\"", list->len > 1 ? "," : "", prefix, name);
}

struct lists {
    struct buf *serves, *opens;
};

static void add_exception(void *data, const struct sched_task_stats *stats)
{
    struct lists *l = data;
    if (!is_pipeline(stats->name) || !is_unserved(stats)) return;
    add_name(l->serves, "!", stats->name);
    add_name(l->opens, "!", stats->name);
}

void claim_offer_write(const struct claim_view *v, struct buf *serves, struct buf *opens)
{
    size_t n;
    const struct catalog_task *tasks = catalog_tasks(v->catalog, &n);
    struct lists lists = {serves, opens};
    buf_add_char(serves, '[');
    buf_add_char(opens, '[');
    for (size_t i = 0; i < n; i++) {
        if (!serves_one(v, &tasks[i])) continue;
        add_name(serves, "", tasks[i].name);
        if (opens_one(v, &tasks[i])) add_name(opens, "", tasks[i].name);
    }
    sched_each_task(v->scheduler, add_exception, &lists);
    buf_add_char(serves, ']');
    buf_add_char(opens, ']');
}
