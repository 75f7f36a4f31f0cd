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
        a->file.path ? access_classify(&a->file.tokens, http_exchange_header(x, "Authorization")) : ACCESS_GRANTED;
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
        a->refused[v] =
            metric_counter("fantail_http_unauthorized_total",
                           "Requests refused with 401, by what was wrong with the token.", buf_cstr(&label));
        buf_release(&label);
    }
}

void access_show_tokens(const struct access *a, struct metric_emitter *to)
{
    for (size_t i = 0; i < a->file.tokens.count; i++) {
        char fingerprint[TOKEN_FINGERPRINT_SIZE];
        token_fingerprint(a->file.tokens.list[i], fingerprint);
        metric_emit(to, fingerprint, 1);
    }
}

bool access_start(struct access *a, uv_loop_t *loop, const char *path, char *err, size_t err_size)
{
    *a = (struct access){0};
    register_metrics(a);
    if (!token_file_open(&a->file, "token-file", path, err, err_size)) return false;
    token_file_watch(&a->file, loop, NULL, NULL);
    return true;
}

void access_reload(struct access *a)
{
    token_file_reload(&a->file);
}

void access_stop(struct access *a)
{
    token_file_stop(&a->file);
}

void access_release(struct access *a)
{
    token_file_release(&a->file);
}
