#include "coordinator/fleet/worker_tls.h"

#include "common/service/tls_options.h"

static const struct tls_words words = {
    .option = {[TLS_CERT] = "worker-client-cert", [TLS_KEY] = "worker-client-key", [TLS_CA] = "worker-ca"},
    .use = "client",
};

static struct tls_files files_of(const struct worker_fleet_config *config)
{
    return (struct tls_files){
        .path = {[TLS_CERT] = config->client_cert, [TLS_KEY] = config->client_key, [TLS_CA] = config->ca}};
}

/* Certificates without https in --workers are an error. Without this error, nobody would notice that the coordinator
 * calls the workers without TLS and never uses the certificates. */
int worker_tls_check(const struct option_spec *spec, const struct worker_fleet_config *config)
{
    struct tls_files files = files_of(config);
    for (int i = 0; i < TLS_FILE_COUNT && !endpoints_use_tls(config->workers); i++)
        if (files.path[i])
            return option_complain(spec, words.option[i], "is for https, but --workers %s does not use https",
                                   config->workers);
    return tls_files_check(spec, &files, &words);
}

bool worker_tls_start(struct tls_store *store, const struct worker_fleet_config *config, uv_loop_t *loop, char *err,
                      size_t err_size)
{
    struct tls_files files = files_of(config);
    const char *option;
    char why[512];
    if (tls_store_init(store, &files, &words, &option, why, sizeof why)) {
        tls_store_watch(store, loop);
        return true;
    }
    snprintf(err, err_size, "--%s: %s", option, why);
    return false;
}
