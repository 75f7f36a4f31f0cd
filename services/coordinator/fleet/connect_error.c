#include "coordinator/fleet/connect_error.h"

void reach_note(struct reach *r, const struct endpoint *e, const struct http_call_result *result)
{
    if (result->outcome == HTTP_CALL_OK && result->status == 426) {
        snprintf(r->reason, sizeof r->reason, "%s: it speaks https only", e->url);
    } else if (result->outcome == HTTP_CALL_OK) {
        r->reason[0] = '\0';
    } else if (result->outcome == HTTP_CALL_NOT_CONNECTED) {
        bool by_name = !e->connect_to;
        snprintf(r->reason, sizeof r->reason, "%s%s%s%s: %s", e->url, by_name ? "" : " (", by_name ? "" : e->connect_to,
                 by_name ? "" : ")", result->reason);
    }
}

void reach_explain(const struct reach *r, const char *sentence, char *out, size_t out_size)
{
    snprintf(out, out_size, r->reason[0] ? "%s: %s" : "%s%s", sentence, r->reason);
}
