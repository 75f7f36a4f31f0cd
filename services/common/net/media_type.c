#include "common/net/media_type.h"

#include <strings.h>

/* Whether the text begins with this type and ends there, or continues with one of the characters in `ends`. */
static bool names(const char *text, const char *type, const char *ends)
{
    size_t len = strlen(type);
    return strncasecmp(text, type, len) == 0 && strchr(ends, text[len]);
}

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

/* Returns the q of one entry, whose parameters begin at `s`. Without a q it returns 1. */
static double read_q(const char *s, const char *end)
{
    while (s < end && (s = memchr(s, ';', (size_t)(end - s))) != NULL) {
        s = skip_space(s + 1);
        if (strncasecmp(s, "q=", 2) == 0) return strtod(s + 2, NULL);
    }
    return 1;
}

/* Returns the highest q that the list gives to the type by name, or 0 when the list does not name the type. */
static double q_of(const char *list, const char *type)
{
    double best = 0;
    for (const char *at = list; *at;) {
        const char *end = at + strcspn(at, ",");
        at = skip_space(at);
        double q = names(at, type, " \t;,") ? read_q(at, end) : 0;
        if (q > best) best = q;
        at = *end ? end + 1 : end;
    }
    return best;
}

bool media_type_is(const char *content_type, const char *type)
{
    return content_type && names(content_type, type, " \t;");
}

bool media_type_prefers(const char *accept, const char *type, const char *other)
{
    if (!accept) return false;
    double q = q_of(accept, type);
    return q > 0 && q >= q_of(accept, other);
}
