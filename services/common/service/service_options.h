/* The options that both services have: where to listen, access, TLS, start and shutdown, and the log. */
#ifndef FANTAIL_COMMON_SERVICE_SERVICE_OPTIONS_H
#define FANTAIL_COMMON_SERVICE_SERVICE_OPTIONS_H

#include "common/base/base.h"
#include "common/base/limits.h"
#include "common/observe/log.h"
#include "common/service/drain.h"
#include "common/service/option.h"
#include "common/service/tls_options.h"

/* Embedded in each service's config struct. The options in SERVICE_OPTION_ROWS set the members of this struct. */
struct service_config {
    const char *host;
    int64_t port; /* 0: any free port */
    bool reuse_port;
    const char *admin_host;
    int64_t admin_port;           /* 0: any free port; -1: no admin server */
    const char *token_file;       /* NULL: no tokens are needed */
    const char *cors_origins;     /* origins whose pages may use the public port, see cors.h; NULL: none */
    bool insecure;                /* allows other machines to connect without a token */
    struct tls_server_config tls; /* TLS of the public port; the admin port has none */
    double keepalive_timeout_s, upload_pause_s;
    double shutdown_delay_s;
    double drain_s;
    int log_level, log_format;
    int64_t ready_fd; /* the descriptor for --ready-fd; -1: none */
    bool exit_with_parent;
    int64_t parent_pid;   /* 0: the parent at the time when parent_tie() runs */
    double stdin_lease_s; /* 0: standard input is not watched */
    int64_t busy_poll_us; /* -1: busy_poller_start() chooses the time */
};

/* Put this macro between the rows of a table: SERVICE_OPTION_ROWS(struct worker_config, service, "8081", "9081"), */
#define SERVICE_OPTION_ROWS(S, f, default_port, default_admin_port)                                                    \
    OPTION_HEADING("Listening"),                                                                                       \
        OPTION_STRING("host", S, f.host, "127.0.0.1",                                                                  \
                      "numeric address to listen on; :: is all IPv4 and IPv6 addresses; unix:PATH is a socket file"),  \
        OPTION_PORT("port", S, f.port, default_port, 0, "port to listen on; 0: a free port"),                          \
        OPTION_BOOL("reuse-port", S, f.reuse_port, NULL,                                                               \
                    "share the port with other processes of this program; the kernel distributes connections"),        \
        OPTION_STRING("admin-host", S, f.admin_host, "127.0.0.1",                                                      \
                      "address of the admin port: a numeric address or unix:PATH"),                                    \
        OPTION_PORT("admin-port", S, f.admin_port, default_admin_port, -1,                                             \
                    "admin port, with health and metrics; 0: a free port; off: none"),                                 \
        OPTION_SECONDS("keepalive-timeout-s", S, f.keepalive_timeout_s, TEXT_OF(LIMIT_KEEPALIVE_S), 0.1, 86400,        \
                       "close an idle connection after this time; load balancers must close it earlier"),              \
        OPTION_SECONDS("upload-pause-s", S, f.upload_pause_s, TEXT_OF(LIMIT_UPLOAD_PAUSE_S), 0.1, 86400,               \
                       "answer 408 if no byte of a request's body arrives for this time"),                             \
        OPTION_HEADING("Access"),                                                                                      \
        OPTION_PATH("token-file", S, f.token_file, NULL,                                                               \
                    "a file of bearer tokens, one on each line; every request must carry one. The file is read again " \
                    "when it changes"),                                                                                \
        OPTION_BOOL("insecure", S, f.insecure, NULL,                                                                   \
                    "accept other machines without --token-file: anyone who can connect can run tasks"),               \
        TLS_SERVER_OPTION_ROWS(S, f.tls), OPTION_HEADING("Start and shutdown"),                                        \
        OPTION_SECONDS("shutdown-delay-s", S, f.shutdown_delay_s, "0", 0, 3600,                                        \
                       "after SIGTERM, still accept requests for this time, so that load balancers can notice that "   \
                       "the service is not ready"),                                                                    \
        OPTION_SECONDS("drain-s", S, f.drain_s, TEXT_OF(DEFAULT_DRAIN_S), 0, 86400,                                    \
                       "after --shutdown-delay-s, time for running work to end"),                                      \
        OPTION_BOOL("exit-with-parent", S, f.exit_with_parent, NULL, "end when the parent process ends"),              \
        OPTION_INT("parent-pid", S, f.parent_pid, "0", 0, INT32_MAX,                                                   \
                   "with --exit-with-parent: process ID of the parent, for a parent that may end before this program " \
                   "has started; 0: ask the kernel",                                                                   \
                   .no_env = true, .needs = "exit-with-parent"),                                                       \
        OPTION_SECONDS("stdin-lease-s", S, f.stdin_lease_s, "0", 0, 86400,                                             \
                       "end, as after SIGTERM, when standard input ends, or when no byte has arrived on it for this "  \
                       "time; 0: standard input is not read",                                                          \
                       .no_env = true),                                                                                \
        OPTION_INT("ready-fd", S, f.ready_fd, "-1", -1, 1048576,                                                       \
                   "when the service listens, write \"ready PORT ADMIN_PORT\" and a newline to this descriptor, "      \
                   "and close it",                                                                                     \
                   .no_env = true),                                                                                    \
        OPTION_INT("busy-poll-us", S, f.busy_poll_us, "-1", -1, 1000,                                                  \
                   "if recent events came soon, poll for up to this many microseconds before sleeping; 0: never; -1: " \
                   "100, or 0 where processor time is limited"),                                                       \
        OPTION_CHOICE("log-level", S, f.log_level, "info", log_level_names, "lowest level that is logged"),            \
        OPTION_CHOICE("log-format", S, f.log_format, "json", service_log_formats,                                      \
                      "how a line of the log is written: as a JSON object, or as text for people")

/* The choices of --log-format: json, plain. */
extern const char *const service_log_formats[];

#endif
