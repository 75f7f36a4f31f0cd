/* The options for the certificate of a service, and the check of their combination. */
#ifndef FANTAIL_COMMON_SERVICE_TLS_OPTIONS_H
#define FANTAIL_COMMON_SERVICE_TLS_OPTIONS_H

#include "common/net/tls_material.h"
#include "common/service/option.h"

struct tls_server_config {
    const char *cert, *key, *client_ca;
};

#define TLS_SERVER_OPTION_ROWS(S, f)                                                                                   \
    OPTION_HEADING("TLS"),                                                                                             \
        OPTION_PATH("tls-cert", S, f.cert, NULL,                                                                       \
                    "serve https on the public port with this certificate (PEM, with its chain). The file is read "    \
                    "again when it changes",                                                                           \
                    .value = "FILE"),                                                                                  \
        OPTION_PATH("tls-key", S, f.key, NULL, "the certificate's private key (PEM)", .value = "FILE"),                \
        OPTION_PATH("tls-client-ca", S, f.client_ca, NULL,                                                             \
                    "every client must show a certificate that one of these authorities (PEM) signed",                 \
                    .value = "FILE")

struct tls_files tls_server_files(const struct tls_server_config *config);
extern const struct tls_words tls_server_words;

/* Checks the options. Call it before anything listens. Returns 0, or 2 after a message that names the option. */
MUST_CHECK int tls_server_check(const struct option_spec *spec, const struct tls_server_config *config);
MUST_CHECK int tls_files_check(const struct option_spec *spec, const struct tls_files *files,
                               const struct tls_words *words);

#endif
