/*
 * The two servers of a service. Both servers answer health requests. The public server also has the routes of the
 * service, and the admin server has the metrics. This module counts the requests of the public server, and measures how
 * long they take. Private to service*.c.
 */
#ifndef FANTAIL_COMMON_SERVICE_SERVICE_HTTP_H
#define FANTAIL_COMMON_SERVICE_SERVICE_HTTP_H

#include "common/service/access.h"
#include "common/service/service.h"

struct route_metrics;

struct service_http {
    struct http_server *server, *admin; /* admin is NULL if there is no admin server */
    struct tls_store tls;               /* certificates of the public server */
    struct http_route *routes, *admin_routes;
    struct access access;          /* access to the public server */
    const char *cors_origins;      /* allowed origins of the public server; see cors.h */
    const char *own_access_path;   /* own_access_path of the hooks */
    struct route_metrics *metrics; /* one per route of the public server, and one for requests without a route */
    size_t metrics_count;
};

MUST_CHECK bool service_http_start(struct service_http *h, uv_loop_t *loop, const struct service_config *config,
                                   const struct service_hooks *hooks, char *err, size_t err_size);
void service_http_set_ready(struct service_http *h, bool ready, const char *reason);
/* Logs a warning if other machines can connect without a token. */
void service_warn_of_open_port(const struct service_config *config);
/* Stops the public server and ends its open exchanges. The admin server continues to serve health and metrics. */
void service_http_stop_public(struct service_http *h);
/* Reads the certificates again. */
void service_http_reload(struct service_http *h);
/* Stops both servers and ends their open exchanges. */
void service_http_stop(struct service_http *h);
/* Call it after the loop has closed the servers' handles. */
void service_http_release(struct service_http *h);

#endif
