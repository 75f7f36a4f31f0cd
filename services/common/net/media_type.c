#include "common/net/media_type.h"

#include <strings.h>

#include "protocol/protocol.h"

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

/* The q of one entry, whose parameters begin at `s`: 1 when it does not say. */
static double read_q(const char *s, const char *end)
{
    while (s < end && (s = memchr(s, ';', (size_t)(end - s))) != NULL) {
        s = skip_space(s + 1);
        if (strncasecmp(s, "q=", 2) == 0) return strtod(s + 2, NULL);
    }
    return 1;
}

/* The highest q the list gives to the type by its name; 0 when it is not there. */
static double q_of(const char *list, const char *type)
{
    size_t len = strlen(type);
    double best = 0;
    for (const char *at = list; *at;) {
        const char *end = at + strcspn(at, ",");
        at = skip_space(at);
        bool named = strncasecmp(at, type, len) == 0 && strchr(" \t;,", at[len]);
        double q = named ? read_q(at, end) : 0;
        if (q > best) best = q;
        at = *end ? end + 1 : end;
    }
    return best;
}

bool accept_is_stream(const char *accept)
{
    if (!accept) return false;
    double lines = q_of(accept, TYPE_NDJSON);
    return lines > 0 && lines >= q_of(accept, TYPE_JSON);
}
