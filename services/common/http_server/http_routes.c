#include "common/http_server/http_server_internal.h"

#include <strings.h>

/* Returns the length of the segment at s. A segment ends before the next slash or at the end of the path. */
static size_t segment_length(const char *s)
{
    return strcspn(s, "/");
}

/* Appends the decoded segment and a NUL to x->params_text. Returns the offset of the segment in x->params_text. */
static size_t keep_decoded(struct http_exchange *x, const char *segment, size_t len)
{
    size_t at = x->params_text.len;
    buf_add(&x->params_text, segment, len);
    buf_add_char(&x->params_text, '\0');
    x->params_text.len = at + http_percent_decode(x->params_text.data + at) + 1;
    return at;
}

/* A literal segment also matches if the client has percent-encoded some of its characters. */
static bool literal_matches(struct http_exchange *x, const char *want, size_t want_len, const char *got, size_t got_len)
{
    if (!memchr(got, '%', got_len)) return want_len == got_len && memcmp(want, got, got_len) == 0;
    size_t at = keep_decoded(x, got, got_len);
    bool same = x->params_text.len - at - 1 == want_len && memcmp(x->params_text.data + at, want, want_len) == 0;
    x->params_text.len = at;
    return same;
}

/* The buffer of the params may move while it grows, so each param is stored as an offset until the match is
 * complete. */
static bool template_matches(struct http_exchange *x, const char *template)
{
    size_t offsets[HTTP_PARAMS];
    const char *path = x->path;
    buf_clear(&x->params_text);
    x->param_count = 0;
    while (*template == '/' && *path == '/') {
        template ++, path++;
        size_t want = segment_length(template), got = segment_length(path);
        if (want > 2 && template[0] == '{' && template[want - 1] == '}') {
            if (got == 0 || x->param_count == HTTP_PARAMS) return false;
            x->params[x->param_count] = (struct http_param){.name = template + 1, .name_len = want - 2};
            offsets[x->param_count++] = keep_decoded(x, path, got);
        } else if (!literal_matches(x, template, want, path, got)) {
            return false;
        }
        template += want, path += got;
    }
    if (*template || *path) return false;
    for (unsigned i = 0; i < x->param_count; i++) x->params[i].value = x->params_text.data + offsets[i];
    return true;
}

static bool method_matches(const struct http_route *route, const struct http_exchange *x)
{
    return strcmp(route->method, x->method) == 0 || (x->is_head && strcmp(route->method, "GET") == 0);
}

static void answer_not_allowed(struct http_exchange *x)
{
    struct buf allow;
    buf_init(&allow, 0);
    for (const struct http_route *r = x->server->options.routes; r->method; r++) {
        if (!template_matches(x, r->path)) continue;
        if (allow.len) buf_add_str(&allow, ", ");
        buf_add_str(&allow, r->method);
        if (strcmp(r->method, "GET") == 0) buf_add_str(&allow, ", HEAD");
    }
    http_exchange_set_header(x, "Allow", buf_cstr(&allow));
    http_answer_problem(x, 405, NULL, "the method %.20s is not allowed; the allowed methods are %s", x->method,
                        buf_cstr(&allow));
    buf_release(&allow);
}

static bool is_on_other_port(struct http_exchange *x)
{
    const struct http_route *r = x->server->options.other_routes;
    while (r && r->method && !template_matches(x, r->path)) r++;
    return r && r->method;
}

static void answer_unknown_path(struct http_exchange *x)
{
    bool has_list = false;
    for (const struct http_route *r = x->server->options.routes; r->method; r++)
        has_list = has_list || strcmp(r->path, "/openapi.json") == 0;
    const char *hint = has_list ? "; GET /openapi.json lists all calls" : "";
    if (is_on_other_port(x)) hint = x->server->options.other_hint;
    http_answer_problem(x, 404, NULL, "there is nothing at %.200s%s", x->path, hint);
}

static bool path_is_text(struct http_exchange *x)
{
    buf_clear(&x->params_text);
    buf_add(&x->params_text, x->path, strlen(x->path) + 1);
    const char *fault = http_text_decode(x->params_text.data);
    if (fault) http_answer_problem(x, 400, NULL, "the decoded path %.200s %s", x->path, fault);
    return !fault;
}

bool http_route_find(struct http_exchange *x)
{
    bool path_known = false;
    if (!path_is_text(x)) return false;
    for (const struct http_route *r = x->server->options.routes; r->method; r++) {
        if (!template_matches(x, r->path)) continue;
        path_known = true;
        if (!method_matches(r, x)) continue;
        x->route = r;
        return true;
    }
    if (path_known)
        answer_not_allowed(x);
    else
        answer_unknown_path(x);
    return false;
}

const char *http_exchange_param(const struct http_exchange *x, const char *name)
{
    for (unsigned i = 0; i < x->param_count; i++)
        if (x->params[i].name_len == strlen(name) && memcmp(x->params[i].name, name, strlen(name)) == 0)
            return x->params[i].value;
    return NULL;
}
