#include <stdio.h>
#include <string.h>

#include "common/net/unix_address.h"
#include "worker/registration/registrar_internal.h"

static const struct tls_words words = {
    .option = {[TLS_CERT] = "register-client-cert", [TLS_KEY] = "register-client-key", [TLS_CA] = "register-ca"},
    .use = "registration",
};

static struct tls_files files_of(const struct registrar_config *config)
{
    return (struct tls_files){
        .path = {[TLS_CERT] = config->client_cert, [TLS_KEY] = config->client_key, [TLS_CA] = config->ca}};
}

static bool is_numeric(const char *host, bool *any)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        *any = v4.s_addr == 0;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6) != 1) return false;
    *any = IN6_IS_ADDR_UNSPECIFIED(&v6);
    return true;
}

int registrar_check(const struct option_spec *spec, const struct registrar_config *config, const char *host)
{
    char err[512];
    bool any;
    struct tls_files files = files_of(config);
    struct tokens tokens;
    if (!config->coordinators) return 0;
    if (!coordinators_check(config->coordinators, err, sizeof err)) return option_complain(spec, "register", "%s", err);
    if (unix_address_path(host))
        return option_complain(spec, "register", "coordinators on other machines cannot reach --host %s", host);
    if (config->address && (!is_numeric(config->address, &any) || any))
        return option_complain(spec, "register-address", "'%s' is not a numeric address that coordinators can reach",
                               config->address);
    if (config->token_file && !tokens_read(&tokens, config->token_file, err, sizeof err))
        return option_complain(spec, "register-token-file", "%s", err);
    if (config->token_file) tokens_release(&tokens);
    for (int i = 0; i < TLS_FILE_COUNT && !coordinators_use_tls(config->coordinators); i++)
        if (files.path[i])
            return option_complain(spec, words.option[i], "is for https, but --register %s does not use https",
                                   config->coordinators);
    return tls_files_check(spec, &files, &words);
}

/* A worker that listens on only one address registers that address. */
void registrar_choose_address(struct registrar *r)
{
    bool any;
    if (r->config->address)
        snprintf(r->address, sizeof r->address, "%s", r->config->address);
    else if (r->facts.host && is_numeric(r->facts.host, &any) && !any)
        snprintf(r->address, sizeof r->address, "%s", r->facts.host);
}

bool registrar_open_files(struct registrar *r, char *err, size_t err_size)
{
    struct tls_files files = files_of(r->config);
    const char *option, *path = r->config->token_file ? r->config->token_file : r->facts.token_file;
    char why[512];
    if (!tls_store_init(&r->tls, &files, &words, &option, why, sizeof why)) {
        snprintf(err, err_size, "--%s: %s", option, why);
        return false;
    }
    tls_store_watch(&r->tls, r->loop);
    if (!token_file_open(&r->tokens, "register-token-file", path, err, err_size)) return false;
    token_file_watch(&r->tokens, r->loop, NULL, NULL);
    return true;
}
