#include "common/service/tls_options.h"

const struct tls_words tls_server_words = {
    .option = {[TLS_CERT] = "tls-cert", [TLS_KEY] = "tls-key", [TLS_CA] = "tls-client-ca"},
    .use = "server",
};

struct tls_files tls_server_files(const struct tls_server_config *config)
{
    return (struct tls_files){
        .path = {[TLS_CERT] = config->cert, [TLS_KEY] = config->key, [TLS_CA] = config->client_ca}};
}

int tls_files_check(const struct option_spec *spec, const struct tls_files *files, const struct tls_words *words)
{
    const char *option;
    char err[512];
    struct tls_material *m = tls_material_load(files, words, &option, err, sizeof err);
    if (!m) return option_complain(spec, option, "%s", err);
    tls_material_unref(m);
    return 0;
}

int tls_server_check(const struct option_spec *spec, const struct tls_server_config *config)
{
    struct tls_files files = tls_server_files(config);
    if (config->client_ca && !config->cert)
        return option_complain(spec, "tls-cert", "is needed together with --tls-client-ca");
    return tls_files_check(spec, &files, &tls_server_words);
}
