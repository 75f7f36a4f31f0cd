#include "common/service/cors.h"

#include <ctype.h>
#include <strings.h>

#define ALLOWED_METHODS "GET, HEAD, POST, PATCH, DELETE"
/* The answer headers that a page may read, in addition to those that browsers always let a page read. */
#define EXPOSED_HEADERS                                                                                                \
    "Accept-Encoding, Allow, Fantail-Job, Retry-After, WWW-Authenticate, traceresponse, Location, "                    \
    "Preference-Applied, ETag"
#define PREFLIGHT_AGE_S "7200" /* after this time a browser asks again; browsers limit this time */

/* Returns the next entry of the list at *at, without the spaces around it. Moves *at past the comma after the entry;
 * sets *at to NULL after the last entry. */
static const char *next_origin(const char **at, size_t *len)
{
    const char *entry = *at + strspn(*at, " ");
    size_t all = strcspn(entry, ",");
    *at = entry[all] ? entry + all + 1 : NULL;
    for (*len = all; *len && entry[*len - 1] == ' ';) --*len;
    return entry;
}

static bool ends_with(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && strncasecmp(s + len - n, end, n) == 0;
}

/* Returns what is wrong with one entry; NULL when nothing is wrong. */
static const char *origin_fault(const char *s, size_t len)
{
    size_t scheme = 0, at;
    if (len == 0) return "an origin is empty";
    if (len == 4 && strncasecmp(s, "null", 4) == 0)
        return "null cannot be listed, because sandboxed pages of all sites have this origin";
    if (memchr(s, '*', len)) return "* must stand alone and means every origin; patterns are not supported";
    while (scheme < len && (isalnum((unsigned char)s[scheme]) || strchr("+-.", s[scheme]))) scheme++;
    if (scheme == 0 || scheme + 3 >= len || strncmp(s + scheme, "://", 3) != 0)
        return "an origin has a form like https://app.example:8443";
    for (at = scheme + 3; at < len; at++)
        if (!isalnum((unsigned char)s[at]) && !strchr(".-_~:[]", s[at]))
            return "an origin ends after its host and port, without a slash";
    bool is_http = scheme == 4 && strncasecmp(s, "http", 4) == 0,
         is_https = scheme == 5 && strncasecmp(s, "https", 5) == 0;
    if ((is_http && ends_with(s, len, ":80")) || (is_https && ends_with(s, len, ":443")))
        return "leave out the default port of http and https, as browsers do";
    return NULL;
}

bool cors_check(const char *origins, char *err, size_t err_size)
{
    if (!origins || strcmp(origins, "*") == 0) return true;
    for (const char *at = origins; at;) {
        size_t len;
        const char *origin = next_origin(&at, &len), *fault = origin_fault(origin, len);
        if (!fault) continue;
        snprintf(err, err_size, "\"%.*s\": %s", (int)(len < 100 ? len : 100), origin, fault);
        return false;
    }
    return true;
}

static bool allows_all(const char *origins)
{
    return strcmp(origins, "*") == 0;
}

static bool allows(const char *origins, const char *asked)
{
    if (!asked) return false;
    if (allows_all(origins)) return true;
    for (const char *at = origins; at;) {
        size_t len;
        const char *origin = next_origin(&at, &len);
        if (strlen(asked) == len && strncasecmp(origin, asked, len) == 0) return true;
    }
    return false;
}

void cors_add_headers(const char *origins, const char *asked, struct buf *headers)
{
    if (!origins) return;
    /* A cache must not serve the answer for one origin to a page of another origin. */
    if (!allows_all(origins)) http_headers_add(headers, "Vary", "Origin");
    if (!allows(origins, asked)) return;
    http_headers_add(headers, "Access-Control-Allow-Origin", allows_all(origins) ? "*" : asked);
    http_headers_add(headers, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

bool cors_answer_preflight(const char *origins, struct http_exchange *x)
{
    if (!origins || strcmp(http_exchange_method(x), "OPTIONS") != 0) return false;
    if (!http_exchange_header(x, "Access-Control-Request-Method") ||
        !allows(origins, http_exchange_header(x, "Origin")))
        return false;
    /* All request headers are allowed. It is safe to allow all request headers, because the services read no header
     * that gives a page more rights than its origin has. The answer names each header, because "*" would not include
     * Authorization. */
    const char *headers = http_exchange_header(x, "Access-Control-Request-Headers");
    if (headers) http_exchange_set_header(x, "Access-Control-Allow-Headers", headers);
    http_exchange_set_header(x, "Access-Control-Allow-Methods", ALLOWED_METHODS);
    http_exchange_set_header(x, "Access-Control-Max-Age", PREFLIGHT_AGE_S);
    http_exchange_leave_body(x);
    http_answer(x, 204, NULL, "", 0);
    return true;
}
