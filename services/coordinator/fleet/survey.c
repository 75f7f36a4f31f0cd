#include "coordinator/fleet/survey.h"

#include "common/base/hash.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"

enum {
    ASK_TIMEOUT_MS = 2000, /* a request fails if the worker sends nothing for this long */
    ASKING_MAX = 64,       /* requests at the same time */
    PERIOD_MS = 30000,     /* how often a worker that answers is asked */
    TICK_MS = 5000,        /* workers whose period is over are asked together, at the next multiple of this time */
    RETRY_MIN_MS = 1000,   /* delay after a failed request; doubled after each further failure, up to PERIOD_MS */
    FRESH_MAX_MS = 1000,
    COMPARED_PAUSE_MS = 500, /* a worker whose tasks have changed is asked this long after the last request to it */
    QUESTION_MS = 3000,
    ANSWERED_AT_ONCE = 50,
    SOON_MS = 1, /* a timer of 0 ms could fire again in the same turn of the loop */
};

struct survey_worker {
    struct survey_worker *next, **prev;
    struct survey *survey;
    const struct endpoint *at;
    survey_said *said;
    void *owner;
    struct catalog_worker in_catalog;
    struct heap_node due; /* when the worker is asked next; not in the heap while it is being asked */
    struct http_call *call;
    uint64_t again_ns;    /* when to ask again after the open call; UINT64_MAX: at the usual time */
    unsigned failures;    /* failures in a row */
    uint64_t asked_ns;    /* when the last request was sent */
    uint64_t answered_ns; /* when the last completed request was sent; 0: none is complete */
    uint64_t added_ns;
    char etag[80]; /* ETag of the tasks in the catalog; "": none */
    struct buf incoming;
};

struct survey_question {
    struct list_link link; /* on s->questions, or on s->over */
    bool is_over;
    bool (*enough)(void *data);
    void (*answered)(void *data, bool ok);
    void *data;
    uint64_t asked_ns, since_ns; /* since_ns: answers to requests that were sent after this time are new enough */
    unsigned left;               /* how many workers this question still waits for */
};

static void survey_run(struct survey *s);

/* Questions. */

static bool waits_for(const struct survey_question *q, const struct survey_worker *w)
{
    return w->added_ns <= q->asked_ns && w->answered_ns < q->since_ns;
}

static bool is_over(const struct survey_question *q, uint64_t now)
{
    return q->left == 0 || now >= q->asked_ns + QUESTION_MS * NS_PER_MS || (q->enough && q->enough(q->data));
}

static struct survey_question *question_at(struct list_link *at)
{
    return at ? CONTAINER_OF(at, struct survey_question, link) : NULL;
}

/* Returns the question after q, or the oldest one if q is NULL. Returns NULL if q is the newest question. */
static struct survey_question *next_question(const struct survey *s, const struct survey_question *q)
{
    return question_at(list_next(&s->questions, q ? &q->link : NULL));
}

/* Moves questions that are over to s->over, the oldest first. The answer to a question may begin a job, so only some
 * questions are answered in one turn of the loop. */
static void collect_over(struct survey *s, uint64_t now)
{
    for (struct survey_question *q = next_question(s, NULL), *next; q && s->over.n < ANSWERED_AT_ONCE; q = next) {
        next = next_question(s, q);
        if (!is_over(q, now)) continue;
        list_remove(&s->questions, &q->link);
        list_push_back(&s->over, &q->link);
        q->is_over = true;
    }
}

static void answer_questions(struct survey *s)
{
    collect_over(s, now_ns());
    s->goes_on = s->over.n == ANSWERED_AT_ONCE;
    for (struct survey_question *q; (q = question_at(list_next(&s->over, NULL))); free(q)) {
        list_remove(&s->over, &q->link);
        q->answered(q->data, s->catalog.reached > 0);
    }
}

/* Subtracts this worker from the count of each question that waits for it. */
static void uncount(struct survey *s, const struct survey_worker *w)
{
    for (struct survey_question *q = next_question(s, NULL); q; q = next_question(s, q)) q->left -= waits_for(q, w);
}

/* Returns the maximum age of a request whose answer is still new enough for a new question. If each question sent a new
 * request to each worker, clients that ask about unknown tasks could cause very many requests. If the fleet has only
 * one worker, the worker is always asked again, because a script may add a task and use the task within a
 * millisecond. */
static uint64_t fresh_ns(const struct survey *s)
{
    uint64_t others = s->workers > 0 ? s->workers - 1 : 0;
    return (others < FRESH_MAX_MS ? others : FRESH_MAX_MS) * NS_PER_MS;
}

struct survey_question *survey_question_new(struct survey *s, bool (*enough)(void *data),
                                            void (*answered)(void *data, bool ok), void *data)
{
    uint64_t now = now_ns();
    if (s->workers == 0) return NULL;
    struct survey_question *q = xcalloc(1, sizeof *q);
    *q = (struct survey_question){
        .enough = enough, .answered = answered, .data = data, .asked_ns = now, .since_ns = now - fresh_ns(s)};
    list_push_back(&s->questions, &q->link);
    for (struct survey_worker *w = s->first; w; w = w->next) {
        if (!waits_for(q, w)) continue;
        q->left++;
        if (!w->call)
            heap_set(&s->due, &w->due, now);
        else if (w->asked_ns < q->since_ns)
            w->again_ns = now;
    }
    if (q->left == 0) s->goes_on = true;
    survey_run(s);
    return q;
}

void survey_question_drop(struct survey *s, struct survey_question *q)
{
    list_remove(q->is_over ? &s->over : &s->questions, &q->link);
    free(q);
}

/* Asking. */

static double jitter(struct survey *s, double least, double most)
{
    return least + (most - least) * random_unit(&s->random);
}

/* Returns when to ask this worker next. The first time is a random point in the period, so that workers that were added
 * at the same time are not asked at the same time. */
static uint64_t next_time_ns(struct survey_worker *w, bool first)
{
    struct survey *s = w->survey;
    double ms = PERIOD_MS;
    if (w->failures > 0 && w->failures < 6) ms = RETRY_MIN_MS << (w->failures - 1);
    if (ms > (double)PERIOD_MS) ms = (double)PERIOD_MS;
    bool spread = first && w->failures == 0;
    uint64_t at = now_ns() + (uint64_t)(ms * jitter(s, spread ? 0.1 : 0.7, spread ? 1 : 1.1) * (double)NS_PER_MS);
    return w->failures > 0 ? at : at + TICK_MS * NS_PER_MS - at % (TICK_MS * NS_PER_MS);
}

static void keep_etag(struct survey_worker *w)
{
    const char *etag = http_call_header(w->call, "ETag");
    bool fits = etag && strlen(etag) < sizeof w->etag;
    snprintf(w->etag, sizeof w->etag, "%s", fits ? etag : "");
}

static bool read_answer(struct survey_worker *w, const struct http_call_result *r)
{
    struct catalog *c = &w->survey->catalog;
    bool unchanged = r->status == 304 && w->in_catalog.has;
    if (r->outcome != HTTP_CALL_OK) return false;
    if (unchanged) catalog_worker_reached(c, &w->in_catalog, true);
    if (unchanged || r->status != 200) return unchanged;
    if (!catalog_worker_said(c, &w->in_catalog, w->incoming.data, w->incoming.len)) return false;
    keep_etag(w);
    return true;
}

static void note_failure(struct survey_worker *w, const struct http_call_result *r)
{
    struct survey *s = w->survey;
    w->failures++;
    s->rejects_token = r->status == 401 || r->status == 403;
    snprintf(s->fault, sizeof s->fault, "%s", r->outcome == HTTP_CALL_OK ? "" : r->reason);
    catalog_worker_reached(&s->catalog, &w->in_catalog, false);
}

static void on_end(void *data, const struct http_call_result *r)
{
    struct survey_worker *w = data;
    struct survey *s = w->survey;
    bool first = w->answered_ns == 0, ok = read_answer(w, r);
    if (s->connect_error) connect_error_note(s->connect_error, w->at, r);
    const char *id = http_call_header(w->call, HEADER_WORKER);
    uint64_t id_hash = ok && id ? hash_text(id) : 0;
    w->call = NULL;
    buf_release(&w->incoming);
    s->asking--;
    if (ok)
        w->failures = 0;
    else
        note_failure(w, r);
    uint64_t next = next_time_ns(w, first);
    bool is_asked_again = w->again_ns <= now_ns();
    heap_set(&s->due, &w->due, next < w->again_ns ? next : w->again_ns);
    uncount(s, w);
    w->answered_ns = w->asked_ns;
    for (struct survey_question *q = next_question(s, NULL); q; q = next_question(s, q)) q->left += waits_for(q, w);
    if (w->said && (ok || !is_asked_again)) w->said(w->owner, ok ? w->in_catalog.has : NULL, id_hash);
    answer_questions(s);
    survey_run(s);
}

static bool on_body(void *data, const char *bytes, size_t len)
{
    return buf_add(&((struct survey_worker *)data)->incoming, bytes, len);
}

static void ask(struct survey_worker *w, uint64_t now)
{
    struct survey *s = w->survey;
    char url[512], known[sizeof w->etag + 20];
    const char *headers[3] = {0};
    size_t n = 0;
    heap_remove(&s->due, &w->due);
    snprintf(url, sizeof url, "%s%s", w->at->url, PATH_TASKS);
    snprintf(known, sizeof known, "If-None-Match: %s", w->etag);
    if (w->etag[0]) headers[n++] = known;
    headers[n] = s->authorization;
    s->asking++;
    w->again_ns = UINT64_MAX;
    w->asked_ns = now;
    buf_init(&w->incoming, LIMIT_OPTIONS_BYTES);
    w->call = http_call_start(s->client, &(struct http_call_options){
                                             .method = "GET",
                                             .url = url,
                                             .connect_to = w->at->connect_to,
                                             .headers = headers,
                                             .on_body = on_body,
                                             .on_end = on_end,
                                             .data = w,
                                             .silence_timeout_ms = ASK_TIMEOUT_MS,
                                         });
}

static uint64_t next_ns(const struct survey *s)
{
    const struct heap_node *first = s->asking < ASKING_MAX ? heap_first(&s->due) : NULL;
    uint64_t next = first ? first->key : UINT64_MAX;
    /* All questions have the same time limit, so the oldest question reaches its limit first. */
    const struct survey_question *q = next_question(s, NULL);
    uint64_t end = q ? q->asked_ns + QUESTION_MS * NS_PER_MS : UINT64_MAX;
    if (s->goes_on) return 0;
    return end < next ? end : next;
}

static void on_timer(uv_timer_t *timer)
{
    struct survey *s = timer->data;
    answer_questions(s);
    survey_run(s);
}

/* Sends the requests that are due, and sets the timer. */
static void survey_run(struct survey *s)
{
    uint64_t now = now_ns();
    for (struct heap_node *n; s->asking < ASKING_MAX && (n = heap_first(&s->due)) && n->key <= now;)
        ask(CONTAINER_OF(n, struct survey_worker, due), now);
    uint64_t next = next_ns(s);
    if (next == UINT64_MAX)
        uv_timer_stop(s->timer);
    else
        uv_timer_start(s->timer, on_timer, next > now ? (next - now) / NS_PER_MS + 1 : SOON_MS, 0);
}

/* Workers. */

struct survey_worker *survey_add(struct survey *s, const struct endpoint *at, survey_said *said, void *owner)
{
    struct survey_worker *w = xcalloc(1, sizeof *w);
    *w = (struct survey_worker){.survey = s, .at = at, .said = said, .owner = owner, .added_ns = now_ns()};
    w->next = s->first;
    w->prev = &s->first;
    if (w->next) w->next->prev = &w->next;
    s->first = w;
    s->workers++;
    heap_set(&s->due, &w->due, w->added_ns);
    survey_run(s);
    return w;
}

void survey_remove(struct survey *s, struct survey_worker *w)
{
    if (w->call) http_call_cancel(w->call);
    s->asking -= w->call != NULL;
    heap_remove(&s->due, &w->due);
    uncount(s, w);
    catalog_worker_left(&s->catalog, &w->in_catalog, now_ns());
    *w->prev = w->next;
    if (w->next) w->next->prev = w->prev;
    s->workers--;
    buf_release(&w->incoming);
    free(w);
    s->goes_on = s->goes_on || s->questions.n > 0; /* a question may have waited only for this worker */
    survey_run(s);
}

void survey_ask(struct survey *s, struct survey_worker *w, uint64_t after_ms)
{
    uint64_t at = w->asked_ns + after_ms * NS_PER_MS;
    if (!w->call && at < w->due.key) heap_set(&s->due, &w->due, at);
    if (w->call && at < w->again_ns) w->again_ns = at;
    survey_run(s);
}

void survey_compare(struct survey *s, struct survey_worker *w, const char *etag)
{
    if (etag[0] && strcmp(etag, w->etag) != 0) survey_ask(s, w, COMPARED_PAUSE_MS);
}

/* Start and end. */

void survey_start(struct survey *s, uv_loop_t *loop, struct http_client *client, bool balancer)
{
    *s = (struct survey){.client = client, .random = {now_ns()}};
    list_init(&s->questions);
    list_init(&s->over);
    catalog_init(&s->catalog, balancer);
    s->timer = xcalloc(1, sizeof *s->timer);
    uv_timer_init(loop, s->timer);
    s->timer->data = s;
}

void survey_stop(struct survey *s)
{
    while (s->questions.n > 0) survey_question_drop(s, next_question(s, NULL));
    if (s->timer) uv_close((uv_handle_t *)s->timer, (uv_close_cb)free);
    s->timer = NULL;
    heap_release(&s->due);
    catalog_release(&s->catalog);
}
