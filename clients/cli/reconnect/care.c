#include "cli/reconnect/care.h"

#include "cli/reconnect/task_facts.h"

#define NEW_NS       NS_PER_S /* if the list of tasks has not come after this time, jobs get their usual size */
#define SMALL_ITEMS  32       /* maximum items of a job while the number of slots is not known */
#define SLOTS_FACTOR 2        /* a small job may have this many items for each slot, even if it then exceeds JOB_NS */
#define JOB_NS       (250 * NS_PER_MS) /* the planned duration of a small job */

static void move(struct care *c, enum care_state to)
{
    static const char *const names[] = {"idle", "asking", "waiting"};
    static_assert(ARRAY_SIZE(names) == CARE_STATE_COUNT, "a name for each state");
    if (to == CARE_WAITING && c->state != CARE_ASKING) BUG("care: %s to %s", names[c->state], names[to]);
    c->state = to;
}

void care_init(struct care *c, const struct target *target, const char *task, bool once, bool limits_jobs)
{
    *c = (struct care){.task = task, .twice = once ? CARE_RUNS_ONCE : CARE_UNKNOWN, .limits_jobs = limits_jobs};
    connection_init(&c->http, target);
    c->http.answer_max = CONNECTION_LINE_BYTES;
}

void care_release(struct care *c)
{
    connection_release(&c->http);
}

void care_ask(struct care *c, uint64_t now)
{
    if (c->state == CARE_ASKING) return;
    if (!c->asked_ns) c->asked_ns = now;
    connection_request(&c->http, "GET", PATH_TASKS, "Accept: " TYPE_JSON "\r\n", NULL, 0);
    move(c, CARE_ASKING);
}

void care_note_loss(struct care *c, uint64_t now)
{
    if (c->twice == CARE_MAY_RUN_TWICE || c->gate_closed) return;
    c->gate_closed = true;
    c->closed_ns = now;
    c->failures = 0;
    care_ask(c, now);
}

static void answered(struct care *c)
{
    c->gate_closed = false;
    connection_close(&c->http);
    move(c, CARE_IDLE);
}

/* Handles a request that got no list of tasks. If the run needs the list, asks again later. */
static void not_answered(struct care *c, struct outage *o, uint64_t now)
{
    connection_close(&c->http);
    c->retry_ns = now + outage_backoff_ns(o, c->failures++);
    move(c, c->gate_closed ? CARE_WAITING : CARE_IDLE);
}

/* Returns whether the same request may get a different answer later. */
static bool is_for_now(int status)
{
    return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

static void read_answer(struct care *c, struct outage *o, uint64_t now)
{
    struct task_facts facts;
    const struct connection *http = &c->http;
    bool listed = http->status == 200, refused = !listed && !is_for_now(http->status);
    bool described = listed && c->task && task_facts_read(&facts, c->task, http->answer.data, http->answer.len);
    if (described) c->slots = facts.slots;
    c->lacks_task = listed && c->task && task_facts_lack(c->task, http->answer.data, http->answer.len);
    o->accepted = o->accepted || described;
    if (c->twice == CARE_UNKNOWN && described)
        c->twice = facts.idempotent == IDEMPOTENCY_NO ? CARE_RUNS_ONCE : CARE_MAY_RUN_TWICE;
    /* The service does not say whether items may run twice, so the run assumes that they must not. */
    if (c->twice == CARE_UNKNOWN && refused && c->gate_closed) c->twice = CARE_RUNS_ONCE;
    if (c->twice != CARE_UNKNOWN && (listed || refused))
        answered(c);
    else
        not_answered(c, o, now);
}

void care_step(struct care *c, struct outage *o, uint64_t now)
{
    if (c->state == CARE_WAITING && now >= c->retry_ns) care_ask(c, now);
    if (c->state != CARE_ASKING) return;
    if (c->http.state == CONNECTION_DONE)
        read_answer(c, o, now);
    else if (c->http.state == CONNECTION_BROKEN)
        not_answered(c, o, now);
}

bool care_is_new(const struct care *c, uint64_t now)
{
    return c->limits_jobs && c->twice == CARE_UNKNOWN && c->state == CARE_ASKING && now - c->asked_ns < NEW_NS;
}

uint64_t care_items_max(const struct care *c, double pace, uint64_t now)
{
    if (care_is_new(c, now)) return SMALL_ITEMS;
    if (!c->limits_jobs || c->twice != CARE_RUNS_ONCE) return 0;
    uint64_t by_slots = c->slots ? SLOTS_FACTOR * c->slots : SMALL_ITEMS;
    uint64_t by_pace = (uint64_t)(pace * (double)JOB_NS);
    return by_slots > by_pace ? by_slots : by_pace;
}
