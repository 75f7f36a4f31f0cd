#include "cli/records/separator.h"

static const struct escape {
    char letter;
    const char *outside, *inside; /* outside of brackets and inside of them; NULL: not possible */
} escapes[] = {
    {'t', "\t", "\t"},
    {'n', "\n", "\n"},
    {'r', "\r", "\r"},
    {'f', "\f", "\f"},
    {'d', "[0-9]", "0-9"},
    {'D', "[^0-9]", NULL},
    {'s', "[[:space:]]", "[:space:]"},
    {'S', "[^[:space:]]", NULL},
    {'w', "[[:alnum:]_]", "[:alnum:]_"},
    {'W', "[^[:alnum:]_]", NULL},
};

static const struct escape *escape_of(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
        if (escapes[i].letter == letter) return &escapes[i];
    return NULL;
}

/* Appends the escape sequence "\LETTER" as POSIX writes it. Inside brackets, POSIX has no escape sequences: a
 * character that has a special meaning there is written as [.LETTER.]. Returns false if POSIX has no form for it. */
static bool add_escape(struct buf *out, char letter, bool inside)
{
    const struct escape *e = escape_of(letter);
    const char *text = e ? inside ? e->inside : e->outside : NULL;
    if (text) return buf_add_str(out, text);
    if (e || !letter) return false;
    if (inside) return strchr("[]^-", letter) ? buf_addf(out, "[.%c.]", letter) : buf_add_char(out, letter);
    return buf_add_char(out, '\\') && buf_add_char(out, letter);
}

/* Appends the pattern as POSIX writes it. Returns false if POSIX has no form for it. */
static bool translate(const char *pattern, struct buf *out)
{
    bool inside = false, first = false; /* `first`: a ] is a character of the brackets, not their end */
    for (const char *at = pattern; *at; at++) {
        bool was_first = first;
        first = inside && was_first && *at == '^';
        if (*at == '\\') {
            if (!add_escape(out, *++at, inside)) return false;
            continue;
        }
        if (!inside && *at == '[')
            inside = first = true;
        else if (inside && *at == ']' && !was_first)
            inside = false;
        buf_add_char(out, *at);
    }
    return true;
}

/* Appends the bytes of a pattern without special characters. Returns false if it has some. */
static bool read_plain(const char *pattern, struct buf *out)
{
    for (const char *at = pattern; *at; at++) {
        if (strchr("[](){}.*+?^$|", *at)) return false;
        char c = *at;
        if (c == '\\') {
            const struct escape *e = escape_of(*++at);
            if (!*at || (e && e->outside[1])) return false;
            c = e ? e->outside[0] : *at;
        }
        buf_add_char(out, c);
    }
    return out->len > 0;
}

static bool compile(struct separator *s, const char *pattern, char *err, size_t err_size)
{
    struct buf text = {0};
    regmatch_t match;
    bool good = translate(pattern, &text);
    int error = good ? regcomp(&s->regex, buf_cstr(&text), REG_EXTENDED) : REG_EESCAPE;
    buf_release(&text);
    if (error) {
        char why[200] = "a \\ must stand before a character, and \\D, \\S and \\W must stand outside of brackets";
        if (good) regerror(error, NULL, why, sizeof why);
        snprintf(err, err_size, "\"%s\" is not a regular expression: %s", pattern, why);
        return false;
    }
    s->is_regex = true;
    if (regexec(&s->regex, "", 1, &match, 0) != 0) return true;
    snprintf(err, err_size, "\"%s\" matches the empty text, so it separates nothing%s", pattern,
             strcmp(pattern, "|") == 0 ? ". For the character | write \\|" : "");
    return false;
}

bool separator_init(struct separator *s, const char *pattern, char *err, size_t err_size)
{
    *s = (struct separator){0};
    if (read_plain(pattern, &s->plain)) return true;
    buf_release(&s->plain);
    if (compile(s, pattern, err, err_size)) return true;
    separator_release(s);
    return false;
}

void separator_release(struct separator *s)
{
    buf_release(&s->plain);
    if (s->is_regex) regfree(&s->regex);
    *s = (struct separator){0};
}

static bool is_space(char c)
{
    return c && strchr(" \t\r\n\f\v", c);
}

void separator_add_trimmed(struct input_record *r, const char *data, size_t len, bool left, bool right)
{
    const char *end = data + len;
    while (right && end > data && is_space(end[-1])) end--;
    while (left && end > data && is_space(*data)) data++;
    record_add(r, data, (size_t)(end - data));
}

static void add_column(const struct separator *s, struct input_record *r, const char *data, size_t len)
{
    separator_add_trimmed(r, data, len, s->trims_left, s->trims_right);
}

/* Returns the next separator at or after `at`, and sets *match_len. Returns NULL if there is none. */
static const char *find(const struct separator *s, const char *line, size_t at, size_t len, size_t *match_len)
{
    *match_len = s->plain.len;
    /* Under AddressSanitizer, memmem() checks all bytes up to the end of the line at each call. */
    if (s->plain.len == 1) return at < len ? memchr(line + at, s->plain.data[0], len - at) : NULL;
    if (!s->is_regex) return at < len ? memmem(line + at, len - at, s->plain.data, s->plain.len) : NULL;
    while (at < len) {
        regmatch_t match = {.rm_so = (regoff_t)at, .rm_eo = (regoff_t)len};
        if (regexec(&s->regex, line, 1, &match, REG_STARTEND | (at ? REG_NOTBOL : 0)) != 0) return NULL;
        *match_len = (size_t)(match.rm_eo - match.rm_so);
        if (*match_len) return line + match.rm_so;
        at = (size_t)match.rm_eo + 1; /* an empty match, such as that of \b, separates nothing */
    }
    return NULL;
}

void separator_cut(const struct separator *s, const char *line, size_t len, struct input_record *r)
{
    size_t at = 0, match_len;
    for (const char *found; (found = find(s, line, at, len, &match_len)); at = (size_t)(found - line) + match_len) {
        if (r->count == RECORD_VALUES_MAX) break;
        add_column(s, r, line + at, (size_t)(found - line) - at);
    }
    add_column(s, r, line + at, len - at);
}
