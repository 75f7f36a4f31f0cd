#include "coordinator/fleet/task_catalog.h"

#include "protocol/protocol.h"

/* When a worker leaves, the catalog forgets the lists of tasks that no worker has had for REMEMBER_NS. If more than
 * REMEMBER_MAX lists without a worker remain, the catalog also forgets the oldest of them. */
#define REMEMBER_NS  (7 * 24 * 3600 * NS_PER_S)
#define REMEMBER_MAX 32

void catalog_init(struct catalog *c, bool balancer)
{
    *c = (struct catalog){.balancer = balancer};
    list_init(&c->lists);
}

static struct task_list *next_list(const struct catalog *c, const struct task_list *l)
{
    struct list_link *at = list_next(&c->lists, l ? &l->link : NULL);
    return at ? CONTAINER_OF(at, struct task_list, link) : NULL;
}

static void free_list(struct catalog *c, struct task_list *l)
{
    list_remove(&c->lists, &l->link);
    task_list_free(l);
}

void catalog_release(struct catalog *c)
{
    if (c->lists.head.next)
        for (struct task_list *l; (l = next_list(c, NULL));) free_list(c, l);
    free(c->tasks);
    c->tasks = NULL;
    c->count = 0;
    for (size_t i = 0; i < c->expected_n; i++) free(c->expected[i]);
    free(c->expected);
    c->expected = NULL;
    c->expected_n = 0;
}

static bool is_expected(const struct catalog *c, const char *name)
{
    for (size_t i = 0; i < c->expected_n; i++)
        if (strcmp(c->expected[i], name) == 0) return true;
    return false;
}

/* Returns the next name of a comma-separated list, without the blanks around it; NULL at the end. */
static const char *next_name(const char **at, size_t *len)
{
    static const char blanks[] = " \t";
    if (!*at) return NULL;
    const char *name = *at + strspn(*at, blanks);
    size_t all = strcspn(name, ",");
    *at = name[all] ? name + all + 1 : NULL;
    for (*len = all; *len && strchr(blanks, name[*len - 1]);) --*len;
    return name;
}

bool catalog_check_expected(const char *names, const char **fault, size_t *len)
{
    for (const char *at = names && *names ? names : NULL; (*fault = next_name(&at, len));)
        if (!is_task_name(*fault, *len)) return false;
    return true;
}

void catalog_expect(struct catalog *c, const char *names)
{
    size_t len;
    for (const char *at = names, *found; (found = next_name(&at, &len));) {
        char *name = xstrndup(found, len);
        if (len == 0 || is_expected(c, name)) {
            free(name);
            continue;
        }
        c->expected = xrealloc(c->expected, (c->expected_n + 1) * sizeof(char *));
        c->expected[c->expected_n++] = name;
    }
    c->changed = true;
}

/* Workers. */

static struct task_list *list_of(const struct catalog_worker *w)
{
    return (struct task_list *)(uintptr_t)w->has;
}

static void count_reached(struct catalog *c, struct catalog_worker *w, bool reached)
{
    struct task_list *l = list_of(w);
    if (w->reached == reached) return;
    w->reached = reached;
    c->changed = true;
    c->reached += reached ? 1 : UINT32_MAX;
    l->reached += reached ? 1 : UINT32_MAX;
}

/* Detaches the worker from its list. Returns the list, or NULL if the worker had none. */
static struct task_list *detach(struct catalog *c, struct catalog_worker *w)
{
    struct task_list *l = list_of(w);
    if (!l) return NULL;
    count_reached(c, w, false);
    c->changed = true;
    c->workers--;
    l->workers--;
    w->has = NULL;
    return l;
}

static void attach(struct catalog *c, struct catalog_worker *w, struct task_list *l)
{
    w->has = l;
    l->workers++;
    c->workers++;
    c->changed = true;
    count_reached(c, w, true);
}

/* If the catalog already has an equal list, returns that list and frees the new one. Otherwise adds the new list to the
 * catalog and returns it. */
static struct task_list *share(struct catalog *c, struct task_list *fresh)
{
    for (struct task_list *l = next_list(c, NULL); l; l = next_list(c, l)) {
        if (strcmp(l->text, fresh->text) != 0) continue;
        task_list_free(fresh);
        return l;
    }
    list_push_back(&c->lists, &fresh->link);
    c->news++;
    return fresh;
}

bool catalog_worker_said(struct catalog *c, struct catalog_worker *w, const char *text, size_t len)
{
    struct task_list *fresh = task_list_read(text, len);
    if (!fresh) return false;
    struct task_list *before = detach(c, w);
    attach(c, w, share(c, fresh));
    if (before && before->workers == 0) free_list(c, before);
    return true;
}

void catalog_worker_reached(struct catalog *c, struct catalog_worker *w, bool reached)
{
    if (w->has) count_reached(c, w, reached);
}

static struct task_list *oldest_without_workers(const struct catalog *c, unsigned *n)
{
    struct task_list *oldest = NULL;
    *n = 0;
    for (struct task_list *l = next_list(c, NULL); l; l = next_list(c, l)) {
        if (l->workers > 0) continue;
        ++*n;
        if (!oldest || l->left_ns < oldest->left_ns) oldest = l;
    }
    return oldest;
}

static void forget_some(struct catalog *c, uint64_t now)
{
    unsigned n;
    for (struct task_list *l; (l = oldest_without_workers(c, &n)); free_list(c, l))
        if (n <= REMEMBER_MAX && l->left_ns + REMEMBER_NS > now) return;
}

void catalog_worker_left(struct catalog *c, struct catalog_worker *w, uint64_t now)
{
    struct task_list *l = detach(c, w);
    if (!l) return;
    l->left_ns = now;
    forget_some(c, now);
}

/* The totals over all workers. */

static void add_runnable(struct catalog_task *t, const struct task_list *l, const struct listed_task *one)
{
    t->idempotent = t->about ? idempotency_of_both(t->idempotent, one->idempotent) : one->idempotent;
    if (!t->about || l->workers > 0) t->about = one->about;
    t->described = true;
    t->workers += l->reached;
    t->slots += (uint64_t)l->reached * one->slots;
    t->starting += (uint64_t)l->reached * one->starting;
    t->runs |= l->workers > 0;
    if (!one->cannot_start || l->workers == 0) return;
    t->unstarted += l->workers;
    t->cannot_start = one->cannot_start;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct catalog_task *)a)->name, ((const struct catalog_task *)b)->name);
}

/* A task of a worker, and the list that contains this task. */
struct source {
    const struct task_list *list;
    const struct listed_task *task;
};

static int by_task_name(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->task->name, ((const struct source *)b)->task->name);
}

static size_t collect_sources(const struct catalog *c, struct source **sources)
{
    size_t n = 0, most = 1;
    for (struct task_list *l = next_list(c, NULL); l; l = next_list(c, l)) most += l->count;
    *sources = xcalloc(most, sizeof **sources);
    for (struct task_list *l = next_list(c, NULL); l; l = next_list(c, l))
        for (size_t i = 0; i < l->count; i++) (*sources)[n++] = (struct source){l, &l->tasks[i]};
    qsort(*sources, n, sizeof **sources, by_task_name);
    return n;
}

static void add_source(struct catalog *c, const struct source *from)
{
    struct catalog_task *t = &c->tasks[c->count > 0 ? c->count - 1 : 0];
    if (c->count == 0 || strcmp(t->name, from->task->name) != 0) {
        t = &c->tasks[c->count++];
        t->name = from->task->name;
    }
    if (!from->task->error) {
        add_runnable(t, from->list, from->task);
    } else if (from->list->workers > 0) {
        t->broken += from->list->workers;
        t->error = from->task->error;
    }
}

/* Completes `runs` of each task. Removes the tasks that no worker has now, except those that a worker could run
 * earlier. */
static void drop_empty(struct catalog *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct catalog_task *t = &c->tasks[i];
        t->runs |= t->about && t->broken == 0;
        if (t->about || t->error) c->tasks[kept++] = *t;
    }
    c->count = kept;
}

static struct catalog_task *find(const struct catalog *c, const char *name, size_t count)
{
    const struct catalog_task key = {.name = name};
    return count ? bsearch(&key, c->tasks, count, sizeof *c->tasks, by_name) : NULL;
}

/* Adds each expected task that is not in the catalog yet. */
static void add_expected(struct catalog *c)
{
    size_t known = c->count;
    for (size_t i = 0; i < c->expected_n; i++)
        if (!find(c, c->expected[i], known))
            c->tasks[c->count++] = (struct catalog_task){
                .name = c->expected[i], .idempotent = IDEMPOTENCY_UNSAID, .runs = true, .about = ""};
    qsort(c->tasks, c->count, sizeof *c->tasks, by_name);
}

static void gather(struct catalog *c)
{
    struct source *sources;
    if (!c->changed) return;
    c->changed = false;
    size_t n = collect_sources(c, &sources);
    free(c->tasks);
    c->tasks = xcalloc(n + c->expected_n + 1, sizeof *c->tasks);
    c->count = 0;
    for (size_t i = 0; i < n; i++) add_source(c, &sources[i]);
    free(sources);
    drop_empty(c);
    add_expected(c);
}

const struct catalog_task *catalog_tasks(struct catalog *c, size_t *count)
{
    gather(c);
    *count = c->count;
    return c->tasks;
}

const struct catalog_task *catalog_find(struct catalog *c, const char *name)
{
    gather(c);
    return find(c, name, c->count);
}

void catalog_list_names(struct catalog *c, struct buf *out)
{
    gather(c);
    if (c->count == 0) buf_add_str(out, "none");
    for (size_t i = 0; i < c->count; i++)
        buf_addf(out, "%s%s", i == 0 ? "" : i + 1 == c->count ? " and " : ", ", c->tasks[i].name);
}

/* JSON. */

static void add_string(struct buf *out, const char *before, const char *text)
{
    buf_add_str(out, before);
    buf_add_json_string(out, text, strlen(text));
}

/* Writes why workers cannot run the task. The task's own "error" is written only when no worker can run the task. */
static void write_broken(struct buf *out, const struct catalog *c, const struct catalog_task *t)
{
    if (!t->runs) add_string(out, ",\"error\":", t->error);
    if (c->balancer) return;
    buf_addf(out, ",\"broken\":{\"workers\":%u", t->broken);
    add_string(out, ",\"error\":", t->error);
    buf_add_char(out, '}');
}

static void write_unstarted(struct buf *out, const struct catalog *c, const struct catalog_task *t)
{
    buf_add_str(out, ",\"cannot_start\":{");
    if (!c->balancer) buf_addf(out, "\"workers\":%u,", t->unstarted);
    add_string(out, "\"error\":", t->cannot_start);
    buf_add_char(out, '}');
}

static void write_task(struct buf *out, const struct catalog *c, const struct catalog_task *t)
{
    add_string(out, "{\"name\":", t->name);
    if (t->about) buf_addf(out, "%s,\"idempotent\":%s", t->about, idempotency_json(t->idempotent));
    if (!c->balancer) buf_addf(out, ",\"workers\":%u,\"slots\":%llu", t->workers, (unsigned long long)t->slots);
    if (!c->balancer && t->starting) buf_addf(out, ",\"starting\":%llu", (unsigned long long)t->starting);
    if (t->error) write_broken(out, c, t);
    if (t->cannot_start) write_unstarted(out, c, t);
    buf_add_char(out, '}');
}

void catalog_write(struct catalog *c, struct buf *out)
{
    gather(c);
    buf_add_char(out, '{');
    if (!c->balancer) buf_addf(out, "\"workers\":%u,", c->reached);
    buf_add_str(out, "\"tasks\":[");
    for (size_t i = 0; i < c->count; i++) {
        if (i) buf_add_char(out, ',');
        write_task(out, c, &c->tasks[i]);
    }
    buf_add_str(out, "]}\n");
}
