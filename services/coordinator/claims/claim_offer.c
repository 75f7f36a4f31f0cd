#include "coordinator/claims/claim_offer.h"

/* Sets *name and *len to the next name of a comma-separated list, and moves *at to the rest. Returns false at the
 * end. */
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

/* What the scheduler knows about a task. */
struct known {
    bool is_unserved;
    uint64_t slots;  /* 0: not known */
    uint64_t demand; /* of the jobs of the task, and of all pipelines that contain the task */
};

static void note_own(struct known *k, const struct sched_task_stats *stats)
{
    k->is_unserved = is_unserved(stats);
    k->slots = stats->slots;
}

static bool scheduler_lacks(const struct claim_view *v, const char *tasks)
{
    struct sched_task_stats stats;
    return sched_task_stats(v->scheduler, tasks, &stats) && is_unserved(&stats);
}

static bool serves_one(const struct catalog_task *t, const struct known *k)
{
    return t->workers > 0 && !k->is_unserved;
}

static bool opens_one(const struct claim_view *v, const struct catalog_task *t, const struct known *k)
{
    uint64_t demand = k->demand + v->coming;
    return claim_leaves_slots(k->slots > 0 ? k->slots : t->slots, demand > v->leaving ? demand - v->leaving : 0);
}

struct lookup {
    const char *task;
    struct known known;
};

static void add_demand(void *data, const struct sched_task_stats *stats)
{
    struct lookup *l = data;
    if (is_among(stats->name, l->task)) l->known.demand += stats->demand_slots;
}

/* Returns what the scheduler knows about a task. The demand is filled in only if `with_demand` is true, because finding
 * the demand means visiting all tasks of the scheduler. */
static struct known known_of(const struct claim_view *v, const char *task, bool with_demand)
{
    struct lookup l = {.task = task};
    struct sched_task_stats stats;
    if (sched_task_stats(v->scheduler, task, &stats)) note_own(&l.known, &stats);
    if (with_demand) sched_each_task(v->scheduler, add_demand, &l);
    return l.known;
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
        if (!t) return false;
        const struct known k = known_of(v, t->name, open);
        if (!serves_one(t, &k) || (open && !opens_one(v, t, &k))) return false;
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

/* The state of claim_offer_write(): the tasks of the catalog, what is known about each task, and the two lists. */
struct offer {
    const struct claim_view *view;
    const struct catalog_task *tasks;
    struct known *known; /* one for each task of the catalog */
    struct buf *serves, *opens;
};

/* Adds the demand of one task or pipeline of the scheduler to each of its tasks in the catalog. For a single task, also
 * records its slots, and whether it is unserved. The caller visits each task of the scheduler only once, because there
 * may be hundreds. */
static void note_known(void *data, const struct sched_task_stats *stats)
{
    struct offer *o = data;
    const char *at = stats->name, *name;
    size_t len;
    while (next_name(&at, &name, &len)) {
        const struct catalog_task *t = find(o->view, name, len);
        if (!t) continue;
        struct known *k = &o->known[t - o->tasks];
        if (!is_pipeline(stats->name)) note_own(k, stats);
        if (!at || !is_among(at, t->name)) k->demand += stats->demand_slots;
    }
}

static void add_exception(void *data, const struct sched_task_stats *stats)
{
    struct offer *o = data;
    if (!is_pipeline(stats->name) || !is_unserved(stats)) return;
    add_name(o->serves, "!", stats->name);
    add_name(o->opens, "!", stats->name);
}

void claim_offer_write(const struct claim_view *v, struct buf *serves, struct buf *opens)
{
    size_t n;
    const struct catalog_task *tasks = catalog_tasks(v->catalog, &n);
    struct offer offer = {v, tasks, xcalloc(n + 1, sizeof *offer.known), serves, opens};
    sched_each_task(v->scheduler, note_known, &offer);
    buf_add_char(serves, '[');
    buf_add_char(opens, '[');
    for (size_t i = 0; i < n; i++) {
        if (!serves_one(&tasks[i], &offer.known[i])) continue;
        add_name(serves, "", tasks[i].name);
        if (opens_one(v, &tasks[i], &offer.known[i])) add_name(opens, "", tasks[i].name);
    }
    sched_each_task(v->scheduler, add_exception, &offer);
    buf_add_char(serves, ']');
    buf_add_char(opens, ']');
    free(offer.known);
}
