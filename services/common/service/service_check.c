/* Checks that the options of a service do not contradict each other, before the service listens. */
#include "common/net/listen_address.h"
#include "common/net/loopback.h"
#include "common/net/unix_address.h"
#include "common/service/cors.h"
#include "common/service/service_http.h"

static int check_address(const struct option_spec *spec, const char *option, const char *host)
{
    const char *fault = listen_address_fault(host);
    return fault ? option_complain(spec, option, "'%s' %s", host, fault) : 0;
}

/* Returns whether both servers would listen on the same address and port. */
static bool have_one_place(const struct service_config *config)
{
    bool same_host = strcmp(config->host, config->admin_host) == 0;
    if (unix_address_path(config->host) || unix_address_path(config->admin_host)) return same_host;
    bool takes_all = strcmp(config->host, "::") == 0 || strcmp(config->host, "0.0.0.0") == 0;
    return (same_host || takes_all) && config->port > 0 && config->port == config->admin_port;
}

int service_check(const struct option_spec *spec, const struct service_config *config)
{
    struct tokens tokens;
    char err[512];
    int fault = check_address(spec, "host", config->host);
    if (!fault) fault = check_address(spec, "admin-host", config->admin_host);
    if (!fault && config->admin_port >= 0 && have_one_place(config))
        fault = option_complain(spec, "admin-port", "must differ from --port, or --admin-host must differ from --host");
    if (!fault) fault = tls_server_check(spec, &config->tls);
    if (fault) return fault;
    if (!cors_check(config->cors_origins, err, sizeof err)) return option_complain(spec, "cors-origin", "%s", err);
    if (config->reuse_port && unix_address_path(config->host))
        return option_complain(spec, "reuse-port", "needs a port; --host %s has none", config->host);
    if (config->token_file) {
        if (!tokens_read(&tokens, config->token_file, err, sizeof err))
            return option_complain(spec, "token-file", "%s", err);
        tokens_release(&tokens);
        return 0;
    }
    if (config->tls.client_ca || is_loopback(config->host) || config->insecure) return 0;
    return option_complain(
        spec, "token-file",
        "must be given: other machines can connect to --host %s, and everyone who can connect can "
        "run tasks here. Give a file with tokens, demand certificates with --tls-client-ca, listen on "
        "127.0.0.1, or accept the risk with --insecure",
        config->host);
}

void service_warn_of_open_port(const struct service_config *config)
{
    if (config->token_file || config->tls.client_ca || is_loopback(config->host)) return;
    log_warn("INSECURE: other machines can connect without a token, and everyone who can connect can run tasks",
             LOG_STR("host", config->host), LOG_I64("port", config->port));
}
