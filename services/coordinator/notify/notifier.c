#include "coordinator/notify/notifier.h"

#include <sys/random.h>

#include "common/http_client/http_client.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/observe/utc_time.h"
#include "common/service/tls_options.h"

enum { ATTEMPTS_MAX = 64 }; /* maximum number of attempts that are open at the same time */
enum { TICK_MS = 250, CONNECT_MS = 5000 };
enum { ANSWER_BYTES = 64 * 1024 };  /* a longer answer is cut off */
#define TAKE_GAP_NS (2 * NS_PER_S)  /* time between two searches for due notices, if no job of this coordinator ends */
#define ATTEMPT_NS  (20 * NS_PER_S) /* must be shorter than NOTICE_LEASE_MS */
#define REFUSED     "the host of the URL is not in --notify-allow of this coordinator"

/* A notice that was taken. The struct lives until the store has recorded the result of the attempt. */
struct attempt {
    struct notifier *notifier;
    struct list_link link; /* on notifier->attempts */
    struct stored_notice notice;
    struct notify_target target;
    struct buf body, lines[3]; /* the lines are headers */
    size_t sent, answer_bytes;
    struct http_call *call; /* NULL: there is none */
    uint64_t deadline_ns;
};

static struct attempt *next_attempt(const struct notifier *n, const struct attempt *a)
{
    struct list_link *next = list_next(&n->attempts, a ? &a->link : NULL);
    return next ? CONTAINER_OF(next, struct attempt, link) : NULL;
}

static void free_attempt(struct attempt *a)
{
    list_remove(&a->notifier->attempts, &a->link);
    stored_notice_release(&a->notice);
    buf_release(&a->body);
    for (size_t i = 0; i < ARRAY_SIZE(a->lines); i++) buf_release(&a->lines[i]);
    free(a);
}

/* The result of the attempt. */

static void take(struct notifier *n);

/* If the store has not recorded the result, the notice is due again when its lease has expired. */
static void on_settled(struct store_call *call)
{
    struct attempt *a = call->data;
    struct notifier *n = a->notifier;
    if (call->status != STORE_OK)
        log_warn("the job store has not recorded the result of a notice; the notice may be sent again",
                 LOG_STR("job", a->notice.job), LOG_STR("error", call->error));
    store_call_free(call);
    free_attempt(a);
    if (n->wanted) take(n);
}

/* Records the result of the attempt in the store. `reason` NULL: the notice was delivered. */
static void settle(struct attempt *a, enum store_op op, int64_t pause_ms, int status, const char *reason)
{
    struct store_call *call = store_call_new(op, on_settled, a);
    if (reason && status)
        snprintf(call->notice_failure, sizeof call->notice_failure, "%.160s (status %d)", reason, status);
    else if (reason)
        snprintf(call->notice_failure, sizeof call->notice_failure, "%s", reason);
    memcpy(call->notice_id, a->notice.id, sizeof call->notice_id);
    call->attempts = a->notice.attempts;
    call->lease_ms = pause_ms > 0 ? (uint64_t)pause_ms : 0;
    store_start(a->notifier->store, call);
}

/* Delays the notice, or gives it up after the last attempt. The URL may have a secret in its path, so the log has only
 * the host. */
static void fail(struct attempt *a, int status, const char *reason)
{
    struct notifier *n = a->notifier;
    int64_t pause_ms = notice_pause_ms(&n->pauses, a->notice.attempts, random_unit(&n->random));
    bool ends = pause_ms < 0;
    *n->given_up += ends;
    log_write(ends ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
              (const struct log_field[]){
                  LOG_STR("msg", ends ? "a notice was given up" : "a notice could not be delivered"),
                  LOG_STR("job", a->notice.job), LOG_STR("host", a->target.host),
                  LOG_U64("attempt", a->notice.attempts), LOG_I64("status", status), LOG_STR("reason", reason),
                  LOG_F64("again_s", ends ? 0 : (double)pause_ms / 1e3), LOG_END});
    settle(a, ends ? STORE_REMOVE_NOTICE : STORE_DELAY_NOTICE, pause_ms, status, reason);
}

static void conclude(struct attempt *a, int status, const char *reason)
{
    enum notice_result result = notice_judge(status);
    ++*a->notifier->results[result];
    if (result == NOTICE_FAILED) {
        fail(a, status, reason);
        return;
    }
    if (result == NOTICE_GONE)
        log_warn("the receiver of a notice wants no more notices (410)", LOG_STR("job", a->notice.job),
                 LOG_STR("host", a->target.host));
    settle(a, STORE_REMOVE_NOTICE, 0, status, result == NOTICE_GONE ? "the receiver wants no more notices" : NULL);
}

/* The request. */

static size_t read_body(void *data, char *dst, size_t cap)
{
    struct attempt *a = data;
    return bytes_copy_next(dst, cap, a->body.data, a->body.len, &a->sent);
}

static bool on_answer(void *data, const char *bytes, size_t len)
{
    struct attempt *a = data;
    a->answer_bytes += len;
    return a->answer_bytes <= ANSWER_BYTES;
}

/* The status alone decides whether the attempt has succeeded. A redirect is a failure: it could lead to any host. */
static void on_end(void *data, const struct http_call_result *r)
{
    struct attempt *a = data;
    bool has_answer = r->outcome == HTTP_CALL_OK || r->outcome == HTTP_CALL_REFUSED_BY_US;
    bool redirects = has_answer && r->status >= 300 && r->status < 400;
    a->call = NULL;
    if (redirects)
        conclude(a, r->status, "the receiver redirects, and redirects are not followed");
    else
        conclude(a, has_answer ? r->status : 0, has_answer ? "the receiver did not answer with 2xx" : r->reason);
}

static void post(struct attempt *a)
{
    struct notifier *n = a->notifier;
    int64_t unix_s = utc_time_now() / 1000;
    notice_write(&a->body, &a->notice);
    buf_addf(&a->lines[0], "webhook-id: %s", a->notice.id);
    buf_addf(&a->lines[1], "webhook-timestamp: %lld", (long long)unix_s);
    buf_add_str(&a->lines[2], "webhook-signature: ");
    notice_keys_sign(&n->keys, a->notice.id, unix_s, &a->body, &a->lines[2]);
    static const char user_agent[] = "User-Agent: fantail/" FANTAIL_VERSION;
    const char *const headers[] = {"Content-Type: application/json", user_agent,
                                   buf_cstr(&a->lines[0]),           buf_cstr(&a->lines[1]),
                                   buf_cstr(&a->lines[2]),           NULL};
    a->deadline_ns = now_ns() + ATTEMPT_NS;
    a->call = http_call_start(n->client, &(struct http_call_options){.method = "POST",
                                                                     .url = a->notice.url,
                                                                     .headers = headers,
                                                                     .body_bytes = (int64_t)a->body.len,
                                                                     .read = read_body,
                                                                     .on_body = on_answer,
                                                                     .on_end = on_end,
                                                                     .data = a,
                                                                     .connect_timeout_ms = CONNECT_MS});
}

static void begin(struct notifier *n, struct store_call *taken)
{
    struct attempt *a = xcalloc(1, sizeof *a);
    char err[128];
    a->notifier = n;
    a->notice = taken->notice;
    taken->notice = (struct stored_notice){0};
    list_push_back(&n->attempts, &a->link);
    /* Another coordinator may have accepted the job with another list of hosts. */
    if (notify_target_parse(&a->target, a->notice.url, err, sizeof err) && notify_hosts_allow(&n->hosts, &a->target))
        post(a);
    else
        conclude(a, 0, REFUSED);
}

/* Taking notices. */

static void on_taken(struct store_call *call)
{
    struct notifier *n = call->data;
    bool is_taken = call->status == STORE_OK;
    n->taking = false;
    if (is_taken && !n->stopped) begin(n, call);
    store_call_free(call);
    if (is_taken || n->wanted) take(n); /* more notices may be due */
}

static void take(struct notifier *n)
{
    if (n->taking || n->draining) return;
    n->wanted = n->attempts.n >= ATTEMPTS_MAX;
    if (n->wanted) return;
    struct store_call *call = store_call_new(STORE_TAKE_NOTICE, on_taken, n);
    call->lease_ms = NOTICE_LEASE_MS;
    n->taking = true;
    n->taken_ns = now_ns();
    store_start(n->store, call);
}

void notifier_poke(struct notifier *n)
{
    if (!n->store) return;
    n->wanted = true;
    take(n);
}

/* A receiver that sends its answer slowly could keep its attempt open for ever, so each attempt has a time limit. */
static void cut_slow(struct notifier *n, uint64_t now)
{
    for (struct attempt *a = next_attempt(n, NULL), *next; a; a = next) {
        next = next_attempt(n, a);
        if (!a->call || now < a->deadline_ns) continue;
        http_call_cancel(a->call);
        a->call = NULL;
        conclude(a, 0, "the receiver did not answer in time");
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct notifier *n = timer->data;
    uint64_t now = now_ns();
    cut_slow(n, now);
    if (now - n->taken_ns >= TAKE_GAP_NS) take(n);
}

/* Options. */

static bool read_keys(struct notifier *n, char *err, size_t err_size)
{
    struct notice_keys fresh;
    bool ok = notice_keys_read(&fresh, &n->secrets.tokens, err, err_size);
    if (ok) n->keys = fresh;
    notice_keys_clear(&fresh);
    return ok;
}

static void on_secrets(void *data)
{
    char err[512];
    if (!read_keys(data, err, sizeof err))
        log_error("the secrets of notices could not be read again; the old ones stay in use", LOG_STR("error", err));
}

static const struct tls_words tls_words = {.option = {[TLS_CA] = "notify-ca"}, .use = "notify"};

static struct tls_files tls_files_of(const struct notifier_config *config)
{
    return (struct tls_files){.path = {[TLS_CA] = config->ca}};
}

/* If no host is allowed for https, the CA certificates are never used. Without this check, nobody would notice that the
 * CA certificates are not used. */
static int check_ca(const struct notifier *n, const struct option_spec *spec)
{
    struct tls_files files = tls_files_of(n->config);
    bool has_https = false;
    for (size_t i = 0; i < n->hosts.count; i++) has_https = has_https || n->hosts.list[i].is_tls;
    if (n->config->ca && !has_https)
        return option_complain(spec, "notify-ca", "is for https, but --notify-allow names no host for https");
    return tls_files_check(spec, &files, &tls_words);
}

static int check(struct notifier *n, const struct option_spec *spec, bool has_store)
{
    const struct notifier_config *config = n->config;
    char err[512];
    if (!notify_hosts_parse(&n->hosts, config->allow, err, sizeof err))
        return option_complain(spec, "notify-allow", "%s", err);
    if (!notice_pauses_parse(&n->pauses, config->pauses_s, err, sizeof err))
        return option_complain(spec, "notify-pauses-s", "%s", err);
    if (n->hosts.count > 0 && !has_store)
        return option_complain(spec, "notify-allow", "only durable jobs notify, so this option needs --store");
    if (n->hosts.count > 0 && !config->secret_file)
        return option_complain(spec, "notify-allow",
                               "needs --notify-secret-file: a file with the secret that signs each notice");
    int fault = check_ca(n, spec);
    if (fault) return fault;
    if (token_file_open(&n->secrets, "notify-secret-file", config->secret_file, err, sizeof err) &&
        read_keys(n, err, sizeof err))
        return 0;
    return option_complain(spec, "notify-secret-file", "%s", err);
}

int notifier_check(struct notifier *n, const struct option_spec *spec, bool has_store)
{
    int fault = check(n, spec, has_store);
    if (fault) notifier_release(n);
    return fault;
}

/* Start and end. */

void notifier_register_metrics(struct notifier *n)
{
    static const char *const results[] = {
        [NOTICE_DELIVERED] = "delivered", [NOTICE_FAILED] = "failed", [NOTICE_GONE] = "gone"};
    static_assert(ARRAY_SIZE(results) == NOTICE_RESULT_COUNT, "one name per result");
    metric_counters("fantail_notice_attempts_total", "Attempts to notify a URL of the end of a durable job.", "result",
                    results, NOTICE_RESULT_COUNT, n->results);
    n->given_up = metric_counter("fantail_notices_given_up_total",
                                 "Notices that were given up, because their last attempt has failed.", NULL);
}

static bool start_tls(struct notifier *n, uv_loop_t *loop, char *err, size_t err_size)
{
    struct tls_files files = tls_files_of(n->config);
    const char *option;
    char why[512];
    if (!n->config->ca) return true;
    if (tls_store_init(&n->tls, &files, &tls_words, &option, why, sizeof why)) {
        tls_store_watch(&n->tls, loop);
        return true;
    }
    snprintf(err, err_size, "--%s: %s", option, why);
    return false;
}

bool notifier_start(struct notifier *n, uv_loop_t *loop, struct store *store, char *err, size_t err_size)
{
    if (n->hosts.count == 0) return true;
    if (!start_tls(n, loop, err, err_size)) return false;
    n->store = store;
    n->loop = loop;
    list_init(&n->attempts);
    if (getrandom(&n->random, sizeof n->random, 0) != (ssize_t)sizeof n->random) BUG("getrandom gave too little");
    n->client = http_client_new(
        loop, &(struct http_client_options){.receive_bytes = ANSWER_BYTES / 4, .tls = n->config->ca ? &n->tls : NULL});
    token_file_watch(&n->secrets, loop, on_secrets, n);
    uv_timer_init(loop, &n->timer);
    n->timer.data = n;
    uv_timer_start(&n->timer, on_timer, 0, TICK_MS);
    return true;
}

void notifier_reload(struct notifier *n)
{
    if (!n->store) return;
    token_file_reload(&n->secrets);
    tls_store_reload(&n->tls);
}

void notifier_drain(struct notifier *n)
{
    n->draining = true;
}

bool notifier_is_idle(const struct notifier *n)
{
    return !n->store || (n->attempts.n == 0 && !n->taking);
}

void notifier_stop(struct notifier *n)
{
    if (!n->store) return;
    n->draining = n->stopped = true;
    for (struct attempt *a = next_attempt(n, NULL), *next; a; a = next) {
        next = next_attempt(n, a);
        if (!a->call) continue; /* the store is still recording the result */
        http_call_cancel(a->call);
        free_attempt(a);
    }
    http_client_free(n->client);
    tls_store_release(&n->tls);
    uv_close((uv_handle_t *)&n->timer, NULL);
    token_file_stop(&n->secrets);
}

void notifier_release(struct notifier *n)
{
    token_file_release(&n->secrets);
    notice_keys_clear(&n->keys);
    notify_hosts_release(&n->hosts);
}
