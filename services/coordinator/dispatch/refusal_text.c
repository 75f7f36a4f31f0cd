#include "coordinator/dispatch/refusal_text.h"

#include "common/json/encoding.h"
#include "common/json/json_walk.h"

/* Appends the "detail" of a problem. Appends nothing if the body is not a problem with a detail. */
static void read_detail(const struct buf *body, struct buf *detail)
{
    struct json_walk w;
    struct json_slice name, value;
    if (!json_walk_init_checked(&w, body->data, body->len)) return;
    while (json_walk_next(&w, &name, &value))
        if (name.len && json_string_is(name, "detail") && json_string_decode(value, detail)) return;
}

void refusal_text_write(char text[REFUSAL_TEXT_SIZE], int status, const struct buf *body)
{
    struct buf detail = {0};
    if (body->len) read_detail(body, &detail);
    int n = snprintf(text, REFUSAL_TEXT_SIZE, "the worker answered with %s %d",
                     status >= 500 ? "server error" : "status", status);
    if (detail.len) snprintf(text + n, REFUSAL_TEXT_SIZE - (size_t)n, ": %s", buf_cstr(&detail));
    text[encoding_text_length(text, strlen(text))] = '\0'; /* the cut may have split a character */
    buf_release(&detail);
}
