#include "cli/http/simple_request.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"

int simple_request(struct target *t, struct connection *c, const struct target_config *config, const char *method,
                   const char *path, const char *headers)
{
    char err[256];
    connection_init(c, t);
    c->answer_max = CONNECTION_LINE_BYTES;
    if (!target_init(t, config, err, sizeof(err))) {
        complain("%s", err);
        return EXIT_JOB_FAILED;
    }
    connection_request(c, method, path, headers, NULL, 0);
    if (connection_run(c, CONNECTION_SILENCE_S * 1000)) return EXIT_OK;
    complain("%s", c->error);
    return EXIT_JOB_FAILED;
}
