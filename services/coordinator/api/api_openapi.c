#include "coordinator/api/api_openapi.h"

#include "protocol/protocol.h"

/* The path begins at the root of the source tree, because the compiler runs there. */
__asm__(".section .rodata\n"
        ".global openapi_document\n"
        "openapi_document:\n"
        ".incbin \"services/coordinator/api/openapi.json\"\n"
        ".byte 0\n"
        ".previous\n");

/* The document changes only with the version of the coordinator. A cache must still ask each time (no-cache), because
 * the next request may reach a coordinator of another version. */
void api_show_openapi(struct http_exchange *x, void *coordinator)
{
    if (!http_check_no_query(x, NULL)) return;
    http_exchange_set_header(x, "Cache-Control", "no-cache");
    http_answer_tagged(x, TYPE_JSON, openapi_document, strlen(openapi_document));
}
