#include "coordinator/fleet/connect_error.h"

void connect_error_note(struct connect_error *c, const struct endpoint *e, const struct http_call_result *result)
{
    if (result->outcome == HTTP_CALL_OK && result->status == 426) {
        snprintf(c->reason, sizeof c->reason, "%s: the worker speaks https only", e->url);
    } else if (result->outcome == HTTP_CALL_OK) {
        c->reason[0] = '\0';
    } else if (result->outcome == HTTP_CALL_NOT_CONNECTED) {
        bool by_name = !e->connect_to;
        snprintf(c->reason, sizeof c->reason, "%s%s%s%s: %s", e->url, by_name ? "" : " (", by_name ? "" : e->connect_to,
                 by_name ? "" : ")", result->reason);
    }
}

void connect_error_explain(const struct connect_error *c, const char *sentence, char *out, size_t out_size)
{
    snprintf(out, out_size, c->reason[0] ? "%s: %s" : "%s%s", sentence, c->reason);
}
