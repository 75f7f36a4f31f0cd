#include "protocol/shell_quote.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.+/", c));
}

bool shell_quote_is_plain(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_plain(text[n])) n++;
    return len > 0 && n == len;
}

/* Within single quotes every character stands for itself, except a single quote. A single quote is put in double
 * quotes. */
void shell_quote_add(struct buf *out, const char *text, size_t len)
{
    if (shell_quote_is_plain(text, len)) {
        buf_add(out, text, len);
        return;
    }
    if (len == 0) buf_add_str(out, "''");
    for (size_t at = 0; at < len;) {
        const char *quote = memchr(text + at, '\'', len - at);
        size_t n = quote ? (size_t)(quote - text) - at : len - at;
        if (n > 0) {
            buf_add_char(out, '\'');
            buf_add(out, text + at, n);
            buf_add_char(out, '\'');
        }
        if (quote) buf_add_str(out, "\"'\"");
        at += n + (quote != NULL);
    }
}
