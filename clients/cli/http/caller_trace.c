#include "cli/http/caller_trace.h"

#include <stdlib.h>

#include "common/observe/trace_context.h"

/* Returns whether the text can be the value of a header: visible ASCII characters and spaces only. */
static bool is_header_text(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~') return false;
    return true;
}

void caller_trace_add(struct buf *headers)
{
    const char *parent = getenv("TRACEPARENT"), *state = getenv("TRACESTATE");
    struct trace_context t;
    if (!parent || !is_header_text(parent) || !trace_context_parse(&t, parent)) return;
    buf_addf(headers, "traceparent: %s\r\n", parent);
    if (state && *state && strlen(state) <= TRACESTATE_BYTES && is_header_text(state))
        buf_addf(headers, "tracestate: %s\r\n", state);
}
