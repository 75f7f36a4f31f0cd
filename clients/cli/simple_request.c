#include "simple_request.h"

#include "cli.h"
#include "result_line.h"

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

int simple_request_refused(const struct connection *c)
{
    struct buf detail = {0};
    if (!json_member_text(c->answer.data ? c->answer.data : "", c->answer.len, "detail", &detail))
        buf_add_str(&detail, "no reason given");
    complain("the service refused (%d): %s", c->status, buf_cstr(&detail));
    buf_release(&detail);
    return EXIT_JOB_FAILED;
}
