#include "coordinator/fleet/worker_tls.h"

static const struct tls_words words = {
    .option = {[TLS_CERT] = "worker-client-cert", [TLS_KEY] = "worker-client-key", [TLS_CA] = "worker-ca"},
    .use = "client",
};

static struct tls_files files_of(const struct coordinator_config *config)
{
    return (struct tls_files){.path = {[TLS_CERT] = config->worker_client_cert,
                                       [TLS_KEY] = config->worker_client_key,
                                       [TLS_CA] = config->worker_ca}};
}

/* Certificates for workers that are reached without TLS are a mistake that would go unnoticed. */
int worker_tls_check(const struct option_spec *spec, const struct coordinator_config *config)
{
    struct tls_files files = files_of(config);
    for (int i = 0; i < TLS_FILE_COUNT && !endpoints_use_tls(config->workers); i++)
        if (files.path[i])
            return option_complain(spec, words.option[i], "is for https, and --workers %s is without it",
                                   config->workers);
    return tls_files_check(spec, &files, &words);
}

bool worker_tls_start(struct coordinator *c, char *err, size_t err_size)
{
    struct tls_files files = files_of(c->config);
    const char *option;
    char why[512];
    if (tls_store_init(&c->worker_tls, &files, &words, &option, why, sizeof why)) {
        tls_store_watch(&c->worker_tls, c->loop);
        return true;
    }
    snprintf(err, err_size, "--%s: %s", option, why);
    return false;
}
