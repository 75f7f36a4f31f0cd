/* What must hold of a service's options together, before anything listens. */
#include "common/net/loopback.h"
#include "common/net/unix_address.h"
#include "common/service/service_http.h"

int service_check(const struct option_spec *spec, const struct service_config *config)
{
    struct tokens tokens;
    char err[512];
    int fault = tls_server_check(spec, &config->tls);
    if (fault) return fault;
    if (config->reuse_port && unix_address_path(config->host))
        return option_complain(spec, "reuse-port", "is for ports; --host %s has none", config->host);
    if (config->token_file) {
        if (!tokens_read(&tokens, config->token_file, err, sizeof err))
            return option_complain(spec, "token-file", "%s", err);
        tokens_release(&tokens);
        return 0;
    }
    if (config->tls.client_ca || is_loopback(config->host) || config->insecure) return 0;
    return option_complain(spec, "token-file",
                           "is needed, as --host %s can be reached from other machines and whoever reaches it may run "
                           "tasks here. Give a file with tokens, or demand certificates by --tls-client-ca, or listen "
                           "on 127.0.0.1, or accept it with --insecure",
                           config->host);
}

void service_warn_of_open_door(const struct service_config *config)
{
    if (config->token_file || config->tls.client_ca || is_loopback(config->host)) return;
    log_warn("INSECURE: listening beyond this machine without --token-file; whoever reaches this port may run tasks",
             LOG_STR("host", config->host), LOG_I64("port", config->port));
}
