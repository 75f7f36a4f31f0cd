#include "cli/http/simple_request.h"

#include "cli/cli.h"
#include "cli/map/result_line.h"

int simple_request(struct target *t, struct connection *c, const struct client_config *config, const char *method,
                   const char *path, const char *headers, struct buf *body)
{
    char err[256];
    connection_init(c, t);
    if (!target_init(t, config, err, sizeof(err))) {
        complain("%s", err);
        return EXIT_JOB_FAILED;
    }
    connection_request(c, method, path, headers, body->data, body->len);
    if (connection_run(c)) return EXIT_OK;
    complain("%s", c->error);
    return EXIT_JOB_FAILED;
}

void refusal_text(const struct connection *c, struct buf *text)
{
    struct buf pointer = {0};
    const char *answer = c->answer.data ? c->answer.data : "";
    if (!json_member_text(answer, c->answer.len, "detail", text)) buf_add_str(text, "no reason given");
    if (json_member_text(answer, c->answer.len, "pointer", &pointer) && pointer.len &&
        !strstr(buf_cstr(text), buf_cstr(&pointer)))
        buf_addf(text, " (at %s)", buf_cstr(&pointer));
    if (c->status == 401)
        buf_add_str(text, c->target->token ? "; it was the first one of --token-file"
                                           : "; --token-file or FANTAIL_TOKEN_FILE gives it");
    buf_release(&pointer);
}

int simple_request_refused(const struct connection *c)
{
    struct buf text = {0};
    refusal_text(c, &text);
    complain("the service refused (%d): %s", c->status, buf_cstr(&text));
    buf_release(&text);
    return EXIT_JOB_FAILED;
}
