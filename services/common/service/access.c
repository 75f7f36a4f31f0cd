#include "common/service/access.h"

#include <strings.h>

#include "common/observe/metrics.h"

static const struct {
    const char *name, *challenge, *detail;
} refusals[] = {
    [ACCESS_GRANTED] = {NULL, NULL, NULL},
    [ACCESS_MISSING] = {"missing", "Bearer realm=\"fantail\"",
                        "a token is needed: the header \"Authorization: Bearer TOKEN\" is missing"},
    [ACCESS_MALFORMED] = {"malformed",
                          "Bearer realm=\"fantail\", error=\"invalid_token\", error_description=\"malformed\"",
                          "the Authorization header is not of the form \"Bearer TOKEN\""},
    [ACCESS_UNKNOWN] = {"unknown", "Bearer realm=\"fantail\", error=\"invalid_token\", error_description=\"not known\"",
                        "the token is not known"},
};
static_assert(ARRAY_SIZE(refusals) == ACCESS_VERDICT_COUNT, "a reason for each verdict");

enum access_verdict access_classify(const struct tokens *tokens, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization) return ACCESS_MISSING;
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) return ACCESS_MALFORMED;
    const char *token = authorization + sizeof scheme - 1;
    token += strspn(token, " ");
    size_t len = strlen(token);
    if (!token_is_well_formed(token, len)) return ACCESS_MALFORMED;
    return tokens_has(tokens, token, len) ? ACCESS_GRANTED : ACCESS_UNKNOWN;
}

bool access_admit(struct access *a, struct http_exchange *x)
{
    enum access_verdict verdict =
        a->path ? access_classify(&a->tokens, http_exchange_header(x, "Authorization")) : ACCESS_GRANTED;
    if (verdict == ACCESS_GRANTED) return true;
    char reason[40];
    snprintf(reason, sizeof reason, "\"reason\":\"%s\"", refusals[verdict].name);
    ++*a->refused[verdict];
    http_exchange_leave_body(x);
    http_exchange_set_header(x, "WWW-Authenticate", refusals[verdict].challenge);
    http_answer_problem(x, 401, reason, "%s", refusals[verdict].detail);
    return false;
}

static void register_metrics(struct access *a)
{
    for (int v = ACCESS_GRANTED + 1; v < ACCESS_VERDICT_COUNT; v++) {
        struct buf label = {0};
        metric_add_label(&label, "reason", refusals[v].name);
        a->refused[v] = metric_counter("fantail_http_unauthorized_total",
                                       "Requests refused with 401, by the fault of their token.", buf_cstr(&label));
        buf_release(&label);
    }
}

bool access_start(struct access *a, const char *path, char *err, size_t err_size)
{
    *a = (struct access){.path = path};
    register_metrics(a);
    return !path || tokens_read(&a->tokens, path, err, err_size);
}

void access_reload(struct access *a)
{
    if (a->path) tokens_read_again(&a->tokens, "token-file", a->path);
}

void access_release(struct access *a)
{
    tokens_release(&a->tokens);
    a->path = NULL;
}
