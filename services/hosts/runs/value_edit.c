#include "hosts/runs/value_edit.h"

#include <ctype.h>
#include <regex.h>

enum edit_kind { EDIT_DEFAULT, EDIT_PART, EDIT_START, EDIT_END, EDIT_REPLACE };
enum edit_case { CASE_KEPT, CASE_UPPER, CASE_LOWER };

struct value_edit {
    enum edit_kind kind;
    bool greedy;        /* EDIT_START, EDIT_END: the longest match; EDIT_REPLACE: each match */
    enum edit_case to;  /* EDIT_REPLACE: the letter case that the match gets; CASE_KEPT: `text` replaces the match */
    size_t from, count; /* EDIT_PART */
    char *text;         /* EDIT_DEFAULT, EDIT_REPLACE */
    char *plain;        /* EDIT_START, EDIT_END: the regular expression if it has no special characters */
    bool compiled;
    regex_t regex;
};

/* The forms with a regular expression, the longer names first. */
static const struct form {
    const char *name, *before, *after; /* what stands before and after the regular expression to anchor it */
    enum edit_kind kind;
    bool greedy, has_text;
    enum edit_case to;
} forms[] = {
    {"##", "^(", ")", EDIT_START, true, false, CASE_KEPT},   {"#", "^(", ")", EDIT_START, false, false, CASE_KEPT},
    {"%%", "(", ")$", EDIT_END, true, false, CASE_KEPT},     {"%", "^(", ")$", EDIT_END, false, false, CASE_KEPT},
    {"//", "(", ")", EDIT_REPLACE, true, true, CASE_KEPT},   {"/#", "^(", ")", EDIT_REPLACE, false, true, CASE_KEPT},
    {"/%", "(", ")$", EDIT_REPLACE, false, true, CASE_KEPT}, {"/", "(", ")", EDIT_REPLACE, false, true, CASE_KEPT},
    {"^^", "(", ")", EDIT_REPLACE, true, false, CASE_UPPER}, {"^", "^(", ")", EDIT_REPLACE, false, false, CASE_UPPER},
    {",,", "(", ")", EDIT_REPLACE, true, false, CASE_LOWER}, {",", "^(", ")", EDIT_REPLACE, false, false, CASE_LOWER},
};

static struct value_edit *edit_new(enum edit_kind kind)
{
    struct value_edit *e = xcalloc(1, sizeof *e);
    e->kind = kind;
    return e;
}

void value_edit_free(struct value_edit *e)
{
    if (!e) return;
    if (e->compiled) regfree(&e->regex);
    free(e->text);
    free(e->plain);
    free(e);
}

/* {:2} and {:2:3} */
static struct value_edit *parse_part(const char *at, const char *end)
{
    char *stop;
    if (!isdigit((unsigned char)*at)) return NULL;
    struct value_edit *e = edit_new(EDIT_PART);
    e->from = strtoul(at, &stop, 10);
    e->count = SIZE_MAX;
    bool has_count = *stop == ':' && isdigit((unsigned char)stop[1]);
    if (has_count) e->count = strtoul(stop + 1, &stop, 10);
    if (stop == end) return e;
    value_edit_free(e);
    return NULL;
}

static struct value_edit *parse_colon(const char *at, const char *end)
{
    if (*at != '-') return parse_part(at, end);
    if (at + 1 == end) return NULL;
    struct value_edit *e = edit_new(EDIT_DEFAULT);
    e->text = xstrndup(at + 1, (size_t)(end - at - 1));
    return e;
}

static const struct form *form_of(const char *at)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        if (strncmp(at, forms[i].name, strlen(forms[i].name)) == 0) return &forms[i];
    return NULL;
}

/* Compiles the regular expression between `at` and `end`. Returns false if it is wrong. */
static bool compile(struct value_edit *e, const struct form *f, const char *at, const char *end)
{
    char *pattern;
    if (asprintf(&pattern, "%s%.*s%s", f->before, (int)(end - at), at, f->after) < 0)
        BUG("out of memory for a pattern");
    e->compiled = regcomp(&e->regex, pattern, REG_EXTENDED) == 0;
    free(pattern);
    return e->compiled;
}

struct value_edit *value_edit_parse(const char *at, const char **end)
{
    const char *close = strchr(at, '}');
    if (!close) return NULL;
    *end = close + 1;
    if (*at == ':') return parse_colon(at + 1, close);
    const struct form *f = form_of(at);
    if (!f) return NULL;
    at += strlen(f->name);
    const char *slash = f->has_text ? memchr(at, '/', (size_t)(close - at)) : NULL,
               *pattern_end = slash ? slash : close;
    if (pattern_end == at || (f->has_text && !slash)) return NULL;
    struct value_edit *e = edit_new(f->kind);
    e->greedy = f->greedy;
    e->to = f->to;
    bool is_plain = strcspn(at, "[](){}.*+?^$|\\") >= (size_t)(pattern_end - at);
    if (is_plain && f->kind != EDIT_REPLACE) e->plain = xstrndup(at, (size_t)(pattern_end - at));
    if (slash) e->text = xstrndup(slash + 1, (size_t)(close - slash - 1));
    if (compile(e, f, at, pattern_end)) return e;
    value_edit_free(e);
    return NULL;
}

/* Sets *match to the first match in the bytes from `from` to `to`. The flags are those of regexec(). */
static bool matches(const struct value_edit *e, const char *text, size_t from, size_t to, int flags, regmatch_t *match)
{
    *match = (regmatch_t){.rm_so = (regoff_t)from, .rm_eo = (regoff_t)to};
    return regexec(&e->regex, text, 1, match, REG_STARTEND | flags) == 0;
}

/* Returns the length of the shortest beginning that the regular expression matches. `longest` is the length of a
 * beginning that matches. If the first n bytes begin with a match, so do the first n + 1 bytes. So each step can halve
 * the range. */
static size_t shortest_start(const struct value_edit *e, const char *value, size_t longest)
{
    regmatch_t match;
    size_t least = 0, most = longest;
    while (least < most) {
        size_t middle = least + (most - least) / 2;
        if (matches(e, value, 0, middle, REG_NOTEOL, &match))
            most = (size_t)match.rm_eo;
        else
            least = middle + 1;
    }
    return most;
}

/* Returns the length of the beginning that is left out. */
static size_t start_length(const struct value_edit *e, const char *value, size_t len)
{
    regmatch_t match;
    size_t plain = e->plain ? strlen(e->plain) : 0;
    if (plain) return plain <= len && memcmp(value, e->plain, plain) == 0 ? plain : 0;
    if (!matches(e, value, 0, len, 0, &match)) return 0;
    return e->greedy ? (size_t)match.rm_eo : shortest_start(e, value, (size_t)match.rm_eo);
}

/* Returns the length of the value without the end that is left out. */
static size_t end_start(const struct value_edit *e, const char *value, size_t len)
{
    regmatch_t match;
    size_t plain = e->plain ? strlen(e->plain) : 0;
    if (plain) return plain <= len && memcmp(value + len - plain, e->plain, plain) == 0 ? len - plain : len;
    if (e->greedy) return matches(e, value, 0, len, 0, &match) ? (size_t)match.rm_so : len;
    for (size_t n = 0; n <= len; n++)
        if (matches(e, value + len - n, 0, n, 0, &match)) return len - n;
    return len;
}

static void add_match(const struct value_edit *e, const char *text, size_t len, struct buf *out)
{
    if (e->to == CASE_KEPT) buf_add_str(out, e->text);
    for (size_t i = 0; e->to != CASE_KEPT && i < len; i++) {
        int c = (unsigned char)text[i];
        buf_add_char(out, (char)(e->to == CASE_UPPER ? toupper(c) : tolower(c)));
    }
}

static void replace(const struct value_edit *e, const char *value, size_t len, struct buf *out)
{
    size_t at = 0;
    regmatch_t match;
    while (at <= len && matches(e, value, at, len, at ? REG_NOTBOL : 0, &match)) {
        size_t start = (size_t)match.rm_so, end = (size_t)match.rm_eo;
        buf_add(out, value + at, start - at);
        add_match(e, value + start, end - start, out);
        at = end;
        if (start == end && at < len) buf_add_char(out, value[at]);
        at += start == end;
        if (!e->greedy) break;
    }
    if (at < len) buf_add(out, value + at, len - at);
}

void value_edit_apply(const struct value_edit *e, const char *value, size_t len, struct buf *out)
{
    size_t n;
    switch (e->kind) {
    case EDIT_DEFAULT:
        if (len == 0 || (len == 1 && *value == '0'))
            buf_add_str(out, e->text);
        else
            buf_add(out, value, len);
        break;
    case EDIT_PART:
        n = e->from < len ? e->from : len;
        buf_add(out, value + n, len - n < e->count ? len - n : e->count);
        break;
    case EDIT_START:
        n = start_length(e, value, len);
        buf_add(out, value + n, len - n);
        break;
    case EDIT_END: buf_add(out, value, end_start(e, value, len)); break;
    case EDIT_REPLACE: replace(e, value, len, out); break;
    }
}
