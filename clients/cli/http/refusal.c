#include "cli/http/refusal.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/json_member.h"
#include "protocol/protocol.h"

#define FROM_PROXY "the answer probably comes from a proxy in front of the coordinator"

/* Returns whether the JSON pointer tells the user more than the text. If the text names the field, the pointer adds
 * nothing, because a user who gave the field as an argument has never seen the JSON document. */
static bool says_more(const char *pointer, const char *text)
{
    const char *slash = strrchr(pointer, '/'), *last = slash ? slash + 1 : pointer;
    bool is_index = *last && last[strspn(last, "0123456789")] == '\0';
    return !strstr(text, is_index ? pointer : last);
}

const char *refusal_of_proxy(const struct connection *c)
{
    if (connection_has_type(c, TYPE_PROBLEM)) return NULL;
    switch (c->status) {
    case 408: return FROM_PROXY ". The proxy got the request too slowly. Raise its time limits, see docs/proxies.md";
    case 413:
        return FROM_PROXY ". The proxy accepts only smaller bodies. Raise its limit (nginx: client_max_body_size), "
                          "see docs/proxies.md";
    case 502:
    case 503:
    case 504: return FROM_PROXY ". The proxy got no answer from the coordinator";
    default: return NULL;
    }
}

void refusal_add_text(const struct connection *c, struct buf *text)
{
    struct buf pointer = {0};
    const char *answer = c->answer.data ? c->answer.data : "";
    const char *proxy = refusal_of_proxy(c);
    if (proxy)
        buf_add_str(text, proxy);
    else if (!json_member_read(answer, c->answer.len, "detail", text))
        buf_add_str(text, "the answer is not a problem document of a fantail coordinator; check --url");
    if (json_member_read(answer, c->answer.len, "pointer", &pointer) && pointer.len &&
        says_more(buf_cstr(&pointer), buf_cstr(text)))
        buf_addf(text, " (at %s)", buf_cstr(&pointer));
    if (c->status == 404 && strstr(buf_cstr(text), "/v1/v1/"))
        buf_add_str(text, "; leave /v1 out of --url, because it is part of each path that fantail adds to the URL");
    if (c->status == 401)
        buf_add_str(text, c->target->token ? "; the first token of --token-file was sent"
                                           : "; no token was sent: give one with --token-file or FANTAIL_TOKEN_FILE");
    buf_release(&pointer);
}

int refusal_complain_of_file(const struct connection *c, const char *file)
{
    struct buf text = {0};
    refusal_add_text(c, &text);
    bool names_file = c->status == 400 && strcmp(file, "-") != 0;
    complain("the service refused %s (%d): %s", names_file ? file : "the request", c->status, buf_cstr(&text));
    buf_release(&text);
    return EXIT_JOB_FAILED;
}

int refusal_complain(const struct connection *c)
{
    return refusal_complain_of_file(c, "-");
}
