/*
 * Where requests go: a base URL taken apart, its addresses looked up, and what every request carries.
 * Owner: the command. Connections borrow it.
 */
#ifndef FANTAIL_CLI_HTTP_TARGET_H
#define FANTAIL_CLI_HTTP_TARGET_H

#include <netdb.h>
#include <sys/un.h>

#include "common/base/base.h"
#include "common/service/option.h"

/* Embedded in the config of each command that speaks to a coordinator. */
struct target_config {
    const char *url, *token_file, *cacert, *cert, *key;
};

#define TARGET_OPTION_ROWS(S, f)                                                                                       \
    OPTION_HEADING("Where"),                                                                                           \
        OPTION_STRING("url", S, f.url, NULL, "the coordinator, as http://HOST:PORT, https://HOST or unix:PATH",        \
                      .value = "URL"),                                                                                 \
        OPTION_PATH("token-file", S, f.token_file, NULL, "a file of bearer tokens; the first is sent",                 \
                    .value = "FILE"),                                                                                  \
        OPTION_PATH("cacert", S, f.cacert, NULL, "authorities (PEM) to trust with https, in place of the system's",    \
                    .value = "FILE"),                                                                                  \
        OPTION_PATH("cert", S, f.cert, NULL, "certificate (PEM) to show with https", .value = "FILE"),                 \
        OPTION_PATH("key", S, f.key, NULL, "its private key (PEM), when it is not in the same file", .value = "FILE")

struct target {
    char *url;  /* as given, for messages */
    char *host; /* without brackets; NULL with unix:PATH */
    char port[6];
    char *authority;                 /* for the Host header */
    char *prefix;                    /* path in front of every path: "" or "/base" */
    char *token;                     /* NULL: none */
    const char *cacert, *cert, *key; /* paths; NULL: none */
    bool tls;
    struct addrinfo *addresses; /* NULL with TLS, where the library looks them up */
    struct addrinfo file_info;  /* what addresses points to with unix:PATH, so a target stays where it is */
    struct sockaddr_un file;
};

/* What is wrong with the options themselves: complains and returns EXIT_USAGE, else 0. */
MUST_CHECK int target_config_check(const struct option_spec *spec, const struct target_config *config);
/* False with a sentence in err. target_release() is due either way. */
MUST_CHECK bool target_init(struct target *t, const struct target_config *config, char *err, size_t err_size);
void target_release(struct target *t);

#endif
