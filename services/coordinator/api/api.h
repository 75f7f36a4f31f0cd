/* The coordinator's HTTP API: which handler answers which route. */
#ifndef FANTAIL_COORDINATOR_API_API_H
#define FANTAIL_COORDINATOR_API_API_H

#include "common/http_server/http_server.h"

/* The data of the handlers is the struct coordinator. */
extern const struct http_route api_routes[], api_admin_routes[];

#endif
