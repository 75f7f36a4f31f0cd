/* Reads the query parameters of a request for results, and the job's options that affect its results. */
#include "coordinator/durable/stored_options.h"
#include "coordinator/results/results_internal.h"

static const char *const only_names[] = {[ONLY_BOTH] = "", [ONLY_VALUES] = "values", [ONLY_ERRORS] = "errors"};
static_assert(ARRAY_SIZE(only_names) == ONLY_COUNT, "a name for each");

static bool read_from(struct http_exchange *x, uint64_t *from)
{
    const char *text = http_exchange_query(x, "from");
    if (!text) return true;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits < 19 && !text[digits]) {
        *from = strtoull(text, NULL, 10);
        return true;
    }
    http_answer_problem(x, 400, "\"pointer\":\"/from\"", "\"from\" is the index of the first item, a whole number");
    return false;
}

static bool read_only(struct http_exchange *x, enum results_filter *only)
{
    const char *text = http_exchange_query(x, "only");
    if (!text) return true;
    for (unsigned i = ONLY_VALUES; i < ONLY_COUNT; i++) {
        if (strcmp(text, only_names[i]) != 0) continue;
        *only = (enum results_filter)i;
        return true;
    }
    http_answer_problem(x, 400, "\"pointer\":\"/only\"", "\"only\" is \"values\" or \"errors\"");
    return false;
}

static bool read_progress(struct http_exchange *x, uint64_t *progress_ns)
{
    const char *text = http_exchange_query(x, "progress_s");
    char *end;
    if (!text) return true;
    double seconds = strtod(text, &end);
    if (end != text && !*end && seconds >= 0 && seconds <= 86400) {
        *progress_ns = (uint64_t)(seconds * 1e9);
        return true;
    }
    http_answer_problem(x, 400, "\"pointer\":\"/progress_s\"", "\"progress_s\" is a number of seconds from 0 to 86400");
    return false;
}

bool results_read_query(struct http_exchange *x, struct results_query *query)
{
    static const char *const known[] = {"from", "only", "progress_s", NULL};
    *query = (struct results_query){0};
    return http_check_queries(x, known, NULL) && read_from(x, &query->from) && read_only(x, &query->only) &&
           read_progress(x, &query->progress_ns);
}

struct results_options results_read_options(const struct stored_job *job)
{
    struct jobspec spec = {0};
    enum idempotency idempotent;
    char err[256];
    bool ok = job->options && stored_options_read_facts(job->options, &spec, &idempotent, err, sizeof err);
    const struct results_options options = {.runs = ok && spec.errors == ERRORS_RUNS,
                                            .is_reduced = ok && spec.reduce != REDUCE_NONE};
    jobspec_release(&spec);
    return options;
}
