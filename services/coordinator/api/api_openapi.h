/*
 * GET /openapi.json: the description of all calls of the coordinator. The build puts the file openapi.json of this
 * folder into the program.
 */
#ifndef FANTAIL_COORDINATOR_API_API_OPENAPI_H
#define FANTAIL_COORDINATOR_API_API_OPENAPI_H

#include "common/http_server/http_server.h"

/* The text of the document; NUL-terminated. */
extern const char openapi_document[];

/* The handler of the route. The handler does not need the struct coordinator. */
void api_show_openapi(struct http_exchange *x, void *coordinator);

#endif
