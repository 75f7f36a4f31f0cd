#include "coordinator/fleet/connect_error.h"

static void clear(struct connect_error *c)
{
    c->reason[0] = '\0';
    c->of = NULL;
}

void connect_error_note(struct connect_error *c, const struct endpoint *e, const struct http_call_result *result)
{
    if (result->outcome == HTTP_CALL_OK && result->status == 426) {
        snprintf(c->reason, sizeof c->reason, "%s: the worker speaks https only", e->url);
        c->of = e;
    } else if (result->outcome == HTTP_CALL_OK) {
        clear(c);
    } else if (result->outcome == HTTP_CALL_NOT_CONNECTED) {
        bool by_name = !e->connect_to;
        snprintf(c->reason, sizeof c->reason, "%s%s%s%s: %s", e->url, by_name ? "" : " (", by_name ? "" : e->connect_to,
                 by_name ? "" : ")", result->reason);
        c->of = e;
    }
}

void connect_error_forget(struct connect_error *c, const struct endpoint *e)
{
    if (c->of == e) clear(c);
}
