/*
 * The destination of requests: the parts of the base URL, its addresses, and the token and certificates of every
 * request. The command owns the target; connections borrow it.
 */
#ifndef FANTAIL_CLI_HTTP_TARGET_H
#define FANTAIL_CLI_HTTP_TARGET_H

#include <netdb.h>
#include <sys/un.h>

#include "common/base/base.h"
#include "common/service/option.h"

/* Embedded in the config of each command that sends requests to a coordinator. */
struct target_config {
    const char *url, *token_file, *cacert, *cert, *key;
};

#define TARGET_OPTION_ROWS(S, f)                                                                                       \
    OPTION_HEADING("Coordinator"),                                                                                     \
        OPTION_STRING("url", S, f.url, NULL, "the coordinator's address: http://HOST:PORT, https://HOST or unix:PATH", \
                      .value = "URL"),                                                                                 \
        OPTION_PATH("token-file", S, f.token_file, NULL, "a file of bearer tokens; the first one is sent",             \
                    .value = "FILE"),                                                                                  \
        OPTION_PATH("cacert", S, f.cacert, NULL,                                                                       \
                    "with https: certificate authorities (PEM) to trust instead of the system's", .value = "FILE"),    \
        OPTION_PATH("cert", S, f.cert, NULL, "with https: the client certificate (PEM)", .value = "FILE"),             \
        OPTION_PATH("key", S, f.key, NULL, "the private key (PEM) of --cert, if it is in another file",                \
                    .value = "FILE")

struct target {
    char *url;  /* the URL as it was given, for messages */
    char *host; /* the host without brackets; NULL with unix:PATH */
    char port[6];
    char *authority;                 /* for the Host header */
    char *prefix;                    /* comes before every path: "" or "/base" */
    struct target_token *token;      /* NULL: none */
    const char *cacert, *cert, *key; /* paths; NULL: none */
    bool tls;
    bool by_name;               /* `addresses` came from a lookup of a name */
    struct addrinfo *addresses; /* NULL with TLS, because libcurl looks them up */
    struct addrinfo file_info;  /* with unix:PATH, `addresses` points here, so a target must not be moved */
    struct sockaddr_un file;
};

/* Checks the options. Returns 0, or complains and returns EXIT_USAGE. A config->url of NULL is an error. */
MUST_CHECK int target_config_check(const struct option_spec *spec, const struct target_config *config);
/* On failure it returns false and writes a sentence to err. Call target_release() after success and after failure. */
MUST_CHECK bool target_init(struct target *t, const struct target_config *config, char *err, size_t err_size);
/* Looks up the host's name again, because a replaced coordinator may have another address. If the lookup fails, the
 * addresses stay as they are. The lookup blocks. No connection to the target may be in CONNECTION_CONNECTING. */
void target_look_up_again(struct target *t);
/* Returns the token to send; NULL: none. Reads the token file again if it has changed, because tokens may be replaced
 * during a long run. If the file cannot be read or has no token, the previous token is returned. The string is borrowed
 * until the next call. */
const char *target_token(const struct target *t);
void target_release(struct target *t);

#endif
