#include "common/loop/turn.h"

enum turn_phase { IDLE, BEFORE_SLEEP, AFTER_POLL, PHASE_COUNT };

/* Within a phase, the steps run in the order of these lines. */
static const struct {
    enum turn_phase phase;
    const char *name;
} places[] = {
    [TURN_IDLE_LONG_ANSWERS] = {IDLE, "idle: long answers"},
    [TURN_IDLE_REDUCTIONS] = {IDLE, "idle: reductions"},
    [TURN_IDLE_PIPELINES] = {IDLE, "idle: pipelines"},
    [TURN_IDLE_FREED_MEMORY] = {IDLE, "idle: freed memory"},

    [TURN_BEFORE_SLEEP_SCHEDULER] = {BEFORE_SLEEP, "before sleep: scheduler"},
    [TURN_BEFORE_SLEEP_CLIENT] = {BEFORE_SLEEP, "before sleep: client"},
    [TURN_BEFORE_SLEEP_SERVER] = {BEFORE_SLEEP, "before sleep: server"},
    [TURN_BEFORE_SLEEP_LOG] = {BEFORE_SLEEP, "before sleep: log"},
    [TURN_BEFORE_SLEEP_WORKED] = {BEFORE_SLEEP, "before sleep: worked"},
    [TURN_BEFORE_SLEEP_BUSY_POLL] = {BEFORE_SLEEP, "before sleep: busy poll"},
    [TURN_BEFORE_SLEEP_SLEEPS] = {BEFORE_SLEEP, "before sleep: sleeps"},

    [TURN_AFTER_POLL_SCHEDULER] = {AFTER_POLL, "after poll: scheduler"},
    [TURN_AFTER_POLL_CLIENT] = {AFTER_POLL, "after poll: client"},
    [TURN_AFTER_POLL_SERVER] = {AFTER_POLL, "after poll: server"},
    [TURN_AFTER_POLL_BUSY_POLL] = {AFTER_POLL, "after poll: busy poll"},
    [TURN_AFTER_POLL_DURABLE] = {AFTER_POLL, "after poll: durable jobs"},
    [TURN_AFTER_POLL_SCHEDULER_AGAIN] = {AFTER_POLL, "after poll: scheduler again"},
};
static_assert(ARRAY_SIZE(places) == TURN_PLACE_COUNT, "each place has a phase and a name");

struct turn {
    uv_idle_t idle; /* runs while a step is awake */
    uv_prepare_t prepare;
    uv_check_t check; /* has a libuv reference while a step keeps the loop alive */
    struct turn_step *steps[PHASE_COUNT];
    struct turn_step *next; /* the step that runs after the current one */
    unsigned step_count, awake_count, keeper_count;
    unsigned open_handles;
};

const char *turn_place_name(enum turn_place place)
{
    return places[place].name;
}

static void run_phase(struct turn *t, enum turn_phase phase)
{
    for (struct turn_step *step = t->steps[phase]; step; step = t->next) {
        t->next = step->next;
        if (phase != IDLE || step->awake) step->run(step->data);
    }
}

static void on_idle(uv_idle_t *idle)
{
    run_phase(idle->data, IDLE);
}

static void on_prepare(uv_prepare_t *prepare)
{
    run_phase(prepare->data, BEFORE_SLEEP);
}

static void on_check(uv_check_t *check)
{
    run_phase(check->data, AFTER_POLL);
}

static void if_ours(uv_handle_t *handle, void *found)
{
    if (handle->type == UV_CHECK && ((uv_check_t *)handle)->check_cb == on_check && !uv_is_closing(handle))
        *(struct turn **)found = handle->data;
}

static struct turn *turn_find(uv_loop_t *loop)
{
    struct turn *found = NULL;
    uv_walk(loop, if_ours, &found);
    return found;
}

static struct turn *turn_new(uv_loop_t *loop)
{
    struct turn *t = xcalloc(1, sizeof *t);
    t->open_handles = 3;
    uv_idle_init(loop, &t->idle);
    uv_prepare_init(loop, &t->prepare);
    uv_check_init(loop, &t->check);
    t->idle.data = t->prepare.data = t->check.data = t;
    uv_prepare_start(&t->prepare, on_prepare);
    uv_check_start(&t->check, on_check);
    uv_unref((uv_handle_t *)&t->idle);
    uv_unref((uv_handle_t *)&t->prepare);
    uv_unref((uv_handle_t *)&t->check);
    return t;
}

static void on_closed(uv_handle_t *handle)
{
    struct turn *t = handle->data;
    if (--t->open_handles == 0) free(t);
}

/* From now on turn_add() no longer finds this turn. If a step is added before the handles are closed, turn_add() makes
 * a new turn. */
static void turn_close(struct turn *t)
{
    uv_close((uv_handle_t *)&t->idle, on_closed);
    uv_close((uv_handle_t *)&t->prepare, on_closed);
    uv_close((uv_handle_t *)&t->check, on_closed);
}

void turn_add(uv_loop_t *loop, struct turn_step *step, enum turn_place place, void (*run)(void *data), void *data)
{
    if (step->turn) BUG("the step \"%s\" is added twice", turn_place_name(place));
    struct turn *t = turn_find(loop);
    if (!t) t = turn_new(loop);
    struct turn_step **at = &t->steps[places[place].phase], *prev = NULL;
    while (*at && (*at)->place < place) {
        prev = *at;
        at = &prev->next;
    }
    *step = (struct turn_step){.turn = t, .place = place, .run = run, .data = data, .next = *at, .prev = prev};
    if (step->next) step->next->prev = step;
    *at = step;
    t->step_count++;
}

void turn_remove(struct turn_step *step)
{
    struct turn *t = step->turn;
    if (!t) return;
    turn_stay_awake(step, false);
    turn_keep_loop(step, false);
    *(step->prev ? &step->prev->next : &t->steps[places[step->place].phase]) = step->next;
    if (step->next) step->next->prev = step->prev;
    if (t->next == step) t->next = step->next;
    step->turn = NULL;
    if (--t->step_count == 0) turn_close(t);
}

void turn_stay_awake(struct turn_step *step, bool awake)
{
    struct turn *t = step->turn;
    if (!t || step->awake == awake) return;
    step->awake = awake;
    if (awake && t->awake_count++ == 0) uv_idle_start(&t->idle, on_idle);
    if (!awake && --t->awake_count == 0) uv_idle_stop(&t->idle);
}

const char *turn_awake_step(const struct turn *t)
{
    for (unsigned phase = 0; phase < PHASE_COUNT && t->awake_count > 0; phase++)
        for (const struct turn_step *step = t->steps[phase]; step; step = step->next)
            if (step->awake) return turn_place_name(step->place);
    return NULL;
}

void turn_keep_loop(struct turn_step *step, bool keep)
{
    struct turn *t = step->turn;
    if (!t || step->keeps_loop == keep) return;
    step->keeps_loop = keep;
    if (keep && t->keeper_count++ == 0) uv_ref((uv_handle_t *)&t->check);
    if (!keep && --t->keeper_count == 0) uv_unref((uv_handle_t *)&t->check);
}
