#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/machine/cpu_quota.h"
#include "common/observe/log.h"
#include "protocol/protocol.h"
#include "worker/system/scratch.h"

static const char *const result_names[] = {"complete", "draining", "deadline", "cancelled"};
static_assert(ARRAY_SIZE(result_names) == RESULT_COUNT, "a name for each result");

const char *worker_result_name(enum chunk_result result)
{
    return result_names[result];
}

/* ---- metrics ---- */

unsigned worker_busy(const struct worker *w)
{
    unsigned n = 0;
    for (const struct pool *p = w->pools; p; p = p->next) n += pool_slots(p) - pool_free_slots(p);
    return n;
}

uint64_t worker_queued(const struct worker *w)
{
    uint64_t n = 0;
    for (const struct pool *p = w->pools; p; p = p->next) n += pool_queued(p);
    return n;
}

/* Slots are counted per task, as in the headers of answers, because a process of one task cannot run items of
 * another. */
static double busy_slots(void *data)
{
    const struct pool *p = data;
    return pool_slots(p) - pool_free_slots(p);
}

static double starting_slots(void *data)
{
    const struct pool *p = data;
    return pool_starting(p) * task_slots_per_process(p->task);
}

static double idle_slots(void *data)
{
    const double idle = pool_free_slots(data) - starting_slots(data);
    return idle > 0 ? idle : 0;
}

static double queued_items(void *data)
{
    return (double)worker_queued(data);
}

static double open_chunks(void *data)
{
    return ((const struct worker *)data)->requests.open;
}

static double task_is_protected(void *data)
{
    return ecs_agent_protected(((const struct worker *)data)->ecs_agent);
}

static double registered_coordinators(void *data)
{
    return registrar_held(((const struct worker *)data)->registrar);
}

static void register_metrics(struct worker *w)
{
    w->items_succeeded = metric_counter("fantail_items_total", "Items answered.", "outcome=\"succeeded\"");
    w->items_failed = metric_counter("fantail_items_total", "Items answered.", "outcome=\"failed\"");
    metric_counters("fantail_chunks_total", "Chunks that ended.", "result", result_names, RESULT_COUNT, w->results);
    metric_gauge_fn("fantail_items_queued", "Items that wait for a process.", NULL, queued_items, w);
    metric_gauge_fn("fantail_chunks_in_flight", "Chunks that are running.", NULL, open_chunks, w);
    metric_gauge_fn("fantail_registered_coordinators", "Coordinators with which this worker is registered.", NULL,
                    registered_coordinators, w);
    metric_gauge_fn("fantail_task_protection", "Whether ECS protects this worker from scale-in.", NULL,
                    task_is_protected, w);
    w->protection_failures = metric_counter("fantail_task_protection_failures_total",
                                            "Failed requests to set or to end task protection.", NULL);
    w->chunk_seconds =
        metric_histogram("fantail_chunk_duration_seconds",
                         "Time from the arrival of the headers of a chunk to the end of the chunk.", NULL);
}

static void register_slots(struct pool *p, const char *state, double (*count)(void *data))
{
    struct buf labels = {0};
    metric_add_label(&labels, "task", p->task->name);
    metric_add_label(&labels, "state", state);
    metric_gauge_fn("fantail_worker_slots", "Slots of a task by state. Each slot is room for one item that runs.",
                    buf_cstr(&labels), count, p);
    buf_release(&labels);
}

static void register_pool_metrics(struct pool *p)
{
    register_slots(p, "busy", busy_slots);
    register_slots(p, "idle", idle_slots);
    register_slots(p, "starting", starting_slots);
    for (size_t i = 0; i < LOSS_COUNT; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, "task", p->task->name);
        metric_add_label(&labels, "reason", pool_loss_names[i]);
        p->loss_counters[i] =
            metric_counter("fantail_process_restarts_total", "Task processes that ended.", buf_cstr(&labels));
        buf_release(&labels);
    }
}

/* ---- tasks ---- */

unsigned worker_slots(const struct worker *w, const struct task *t)
{
    unsigned n = t && t->processes ? t->processes : w->processes, most = (unsigned)w->config->slots;
    return most && n > most ? most : n;
}

static struct pool *find_pool(struct worker *w, const char *name)
{
    struct pool *p = w->pools;
    while (p && strcmp(p->task->name, name) != 0) p = p->next;
    return p;
}

struct pool *worker_pool(struct worker *w, const char *name)
{
    struct task *t = task_set_find(&w->tasks, name);
    return t && !t->error ? find_pool(w, name) : NULL;
}

/* Makes the worker use the task. If `gently` is true, the task's former processes serve until a new process is
 * ready. */
static void adopt_task(struct worker *w, struct task *t, bool gently)
{
    if (t->error) {
        log_warn("a task cannot be read", LOG_STR("task", t->name), LOG_STR("error", t->error));
        return;
    }
    struct pool *p = find_pool(w, t->name);
    if (p) {
        (gently ? pool_replace : pool_reload)(p, t, worker_slots(w, t));
        return;
    }
    p = xcalloc(1, sizeof *p);
    pool_init(p, &w->env, t, worker_slots(w, t));
    register_pool_metrics(p);
    p->next = w->pools;
    w->pools = p;
}

static bool is_among(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

/* Returns whether the former description of a task stays in use. `names` are the tasks that have changed. If the new
 * description of a changed task cannot be read, for example because a file is half written, the former description
 * stays in use. */
static bool stays(const struct task *now, const struct task *former, const char *const *names)
{
    if (!names || !former) return false;
    if (!is_among(names, now->name)) return true;
    if (!now->error || former->error) return false;
    log_error("a task has changed and cannot be read; the old version is used", LOG_STR("task", now->name),
              LOG_STR("error", now->error));
    return true;
}

/* Reads all tasks. `names` are the tasks that have changed; NULL: any task may have changed. The pool of a removed task
 * is kept, because requests may still use it. Its processes end when they have answered their items. */
static bool load_tasks(struct worker *w, const char *const *names, char *err, size_t err_size)
{
    struct task_set set;
    bool ok = task_set_load(&set, NULL, w->config->tasks, w->hosts_dir, err, err_size);
    if (w->config->task_cwd) task_set_run_in(&set, w->config->task_cwd);
    struct task_set before = w->tasks;
    w->tasks = set;
    for (size_t i = 0; i < set.count; i++) {
        struct task *t = set.list[i], *former = task_set_find(&before, t->name);
        if (!stays(t, former, names)) {
            adopt_task(w, t, names != NULL);
            continue;
        }
        set.list[i] = task_ref(former);
        task_unref(t);
    }
    for (struct pool *p = w->pools; p; p = p->next)
        if (!worker_pool(w, p->task->name)) pool_reload(p, p->task, p->size);
    task_set_release(&before);
    registrar_renew(w->registrar);
    return ok;
}

static void read_changed(struct worker *w, const char *const *names)
{
    char err[500] = "";
    if (!load_tasks(w, names, err, sizeof err)) log_error("some tasks could not be read", LOG_STR("error", err));
    for (; *names; names++) log_info("a task has changed and was read again", LOG_STR("task", *names));
}

/* If `names` is NULL, all former tasks count as changed. New tasks are read in any case. */
static void on_changed(void *data, const char *const *names)
{
    struct worker *w = data;
    if (names) {
        read_changed(w, names);
        return;
    }
    const char **all = xcalloc(w->tasks.count + 1, sizeof *all);
    for (size_t i = 0; i < w->tasks.count; i++) all[i] = xstrdup(w->tasks.list[i]->name);
    read_changed(w, all);
    for (size_t i = 0; all[i]; i++) free((char *)(uintptr_t)all[i]);
    free(all);
}

/* A task may still write files for this long after it was busy, for example while it cleans up after an item. */
#define LATE_WRITE_NS (100 * NS_PER_MS)

static bool writes_itself(void *data, const char *task, uint64_t at_ns)
{
    const struct pool *p = find_pool(data, task);
    return p && at_ns <= pool_busy_until(p, now_ns()) + LATE_WRITE_NS;
}

static const struct watch_hooks watch_hooks = {.changed = on_changed, .writes_itself = writes_itself};

void worker_look_for_tasks(struct worker *w)
{
    struct task_set found;
    char err[500] = "";
    if (!w->watch || w->draining) return;
    /* read_changed() reports an unreadable directory at a higher log level. */
    if (!task_set_load(&found, &w->tasks, w->config->tasks, w->hosts_dir, err, sizeof err))
        log_debug("some tasks could not be read", LOG_STR("error", err));
    const char **names = xcalloc(found.count + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < found.count; i++)
        if (!found.list[i]->error) names[n++] = found.list[i]->name;
    if (n) read_changed(w, names);
    free(names);
    task_set_release(&found);
}

void worker_reload(void *data)
{
    struct worker *w = data;
    char err[500] = "";
    if (!load_tasks(w, NULL, err, sizeof err)) log_error("some tasks could not be read", LOG_STR("error", err));
    registrar_reload(w->registrar);
    log_info("tasks were read again", LOG_U64("tasks", w->tasks.count));
}

/* ---- life ---- */

/* The host programs are installed in the directory of the worker. */
static char *default_hosts_dir(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return xstrdup(".");
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash && slash != path) *slash = '\0';
    return xstrdup(path);
}

static void choose_id(struct worker *w)
{
    char host[64] = "worker";
    if (w->config->worker_id) {
        snprintf(w->id, sizeof w->id, "%s", w->config->worker_id);
        return;
    }
    gethostname(host, sizeof host - 1);
    snprintf(w->id, sizeof w->id, "%s-%d-%04x", host, (int)getpid(), (unsigned)(now_ns() >> 10 & 0xffff));
}

static void note_sleep(void *data)
{
    struct worker *w = data;
    cpu_wait_sleeps(&w->cpu_wait, now_ns());
}

enum { MEMORY_TICK_MS = 1000 };

static void on_memory_timer(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    spare_memory_tick(&w->memory, w->requests.open == 0, now_ns());
    if (!w->memory.is_due) uv_timer_stop(timer);
}

bool worker_init(struct worker *w, uv_loop_t *loop, const struct worker_config *config, char *err, size_t err_size)
{
    *w = (struct worker){.loop = loop, .config = config};
    requests_init(&w->requests, loop);
    uv_timer_init(loop, &w->memory_timer);
    uv_unref((uv_handle_t *)&w->memory_timer);
    w->memory_timer.data = w;
    unit_cost_init(&w->chunk_cost, DEFAULT_CHUNK_COST_NS, thread_cpu_ns());
    w->hosts_dir = config->hosts_dir ? realpath(config->hosts_dir, NULL) : default_hosts_dir();
    if (!w->hosts_dir) {
        snprintf(err, err_size, "--hosts-dir: %s: %s", config->hosts_dir, strerror(errno));
        return false;
    }
    choose_id(w);
    w->processes = config->processes ? (unsigned)config->processes : cpu_quota();
    if (!reaper_init(&w->reaper, loop)) {
        snprintf(err, err_size, "cannot watch for ended processes");
        return false;
    }
    scratch_make(&w->scratch, config->scratch_dir);
    cpu_wait_init(&w->cpu_wait, 0);
    turn_add(loop, &w->sleeps, TURN_BEFORE_SLEEP_WORKED, note_sleep, w);
    if (config->slots) slot_cap_init(&w->slot_cap, (unsigned)config->slots);
    w->env = (struct process_env){.loop = loop,
                                  .reaper = &w->reaper,
                                  .worker_id = w->id,
                                  .scratch = w->scratch.path,
                                  .output = (enum tail_form)config->task_output,
                                  .gate = config->task_output >= TAIL_WHOLE ? &w->output_gate : NULL,
                                  .slot_cap = config->slots ? &w->slot_cap : NULL,
                                  .our_wait = &w->cpu_wait};
    if (w->env.gate) output_gate_init(w->env.gate, loop);
    register_metrics(w);
    w->ecs_agent = ecs_agent_start(loop, config->protection_s, config->protection_idle_s, w->protection_failures);
    if (config->watch) w->watch = watch_start(loop, config->tasks, &watch_hooks, w);
    if (load_tasks(w, NULL, err, err_size)) return true;
    if (!config->watch) return false;
    log_warn("some tasks cannot be read yet", LOG_STR("error", err)); /* a missing directory is read when it exists */
    return true;
}

void worker_count_request(struct worker *w, int change)
{
    w->requests.open += (unsigned)change;
    if (change < 0) {
        spare_memory_work_ended(&w->memory, now_ns());
        if (!uv_is_active((uv_handle_t *)&w->memory_timer))
            uv_timer_start(&w->memory_timer, on_memory_timer, MEMORY_TICK_MS, MEMORY_TICK_MS);
    }
    ecs_agent_work(w->ecs_agent, w->requests.open > 0);
    if (w->draining && !w->requests.open) service_poke(w->service);
}

static void on_left(void *data)
{
    service_poke(((struct worker *)data)->service);
}

bool worker_register(struct worker *w, char *err, size_t err_size)
{
    const struct service_config *service = &w->config->service;
    const struct registrar_facts facts = {.worker = w->id,
                                          .port = service_port(w->service),
                                          .host = service->host,
                                          .token_file = service->token_file,
                                          .write_etag = worker_write_etag,
                                          .left = on_left,
                                          .data = w};
    return registrar_start(&w->registrar, w->loop, &w->config->registration, &facts, err, err_size);
}

void worker_leave(void *data)
{
    registrar_leave(((struct worker *)data)->registrar);
}

void worker_drain(void *data)
{
    struct worker *w = data;
    w->draining = true;
    ecs_agent_leave(w->ecs_agent);
    for (struct pool *p = w->pools; p; p = p->next) pool_drain(p);
}

bool worker_idle(void *data)
{
    const struct worker *w = data;
    return w->requests.open == 0 && ecs_agent_left(w->ecs_agent) && registrar_left(w->registrar);
}

void worker_cut(void *data)
{
    struct worker *w = data;
    w->cut = true;
    for (struct pool *p = w->pools; p; p = p->next) pool_cut(p);
    requests_cut(&w->requests);
}

static void on_pool_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void worker_stop(void *data)
{
    struct worker *w = data;
    turn_remove(&w->sleeps);
    for (struct pool *p = w->pools, *next; p; p = next) {
        next = p->next;
        pool_close(p, on_pool_closed);
    }
    w->pools = NULL;
    watch_stop(w->watch);
    w->watch = NULL;
    ecs_agent_stop(w->ecs_agent);
    w->ecs_agent = NULL;
    registrar_stop(w->registrar);
    w->registrar = NULL;
    /* Waits until the task processes have ended. Before a task process has ended, the reaper cannot find the processes
     * that this task process leaves running. SIGKILL has been sent to all task processes, but on a busy machine the
     * kernel needs a while to end them. */
    for (int i = 0; i < 5000 && reaper_poll(&w->reaper); i++) usleep(1000);
    reaper_close(&w->reaper);
    requests_close(&w->requests);
    uv_close((uv_handle_t *)&w->memory_timer, NULL);
    if (w->env.gate) output_gate_close(w->env.gate);
    trace_export_close(w->trace);
    w->trace = NULL;
}

void worker_abort(void *data)
{
    struct worker *w = data;
    worker_stop(w);
    locked_dir_remove(&w->scratch);
}

void worker_release(struct worker *w)
{
    task_set_release(&w->tasks);
    locked_dir_remove(&w->scratch);
    cpu_wait_release(&w->cpu_wait);
    free(w->hosts_dir);
}
