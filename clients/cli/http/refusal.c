#include "cli/http/refusal.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/json_member.h"

void refusal_add_text(const struct connection *c, struct buf *text)
{
    struct buf pointer = {0};
    const char *answer = c->answer.data ? c->answer.data : "";
    if (!json_member_read(answer, c->answer.len, "detail", text))
        buf_add_str(text, "the answer is not a problem document of a fantail coordinator; check --url");
    if (json_member_read(answer, c->answer.len, "pointer", &pointer) && pointer.len &&
        !strstr(buf_cstr(text), buf_cstr(&pointer)))
        buf_addf(text, " (at %s)", buf_cstr(&pointer));
    if (c->status == 401)
        buf_add_str(text, c->target->token ? "; the first token of --token-file was sent"
                                           : "; no token was sent: give one with --token-file or FANTAIL_TOKEN_FILE");
    buf_release(&pointer);
}

int refusal_complain(const struct connection *c)
{
    struct buf text = {0};
    refusal_add_text(c, &text);
    complain("the service refused the request (%d): %s", c->status, buf_cstr(&text));
    buf_release(&text);
    return EXIT_JOB_FAILED;
}
