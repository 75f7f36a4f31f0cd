#include "common/service/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files/regular_file.h"

bool token_is_well_formed(const char *text, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
    size_t at = 0;
    while (at < len && text[at] && strchr(allowed, text[at])) at++;
    size_t body = at;
    while (at < len && text[at] == '=') at++;
    return body > 0 && at == len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Returns why a text cannot be a token in a file; NULL if it can be one. */
static const char *fault(const char *text, size_t len)
{
    if (len > LIMIT_TOKEN_BYTES) return "the token is too long";
    if (!token_is_well_formed(text, len)) return "the token has a character that is not allowed";
    return len < LIMIT_TOKEN_LEAST_BYTES ? "the token is too short" : NULL;
}

static void add(struct tokens *t, const char *token, size_t len)
{
    if (!t->list) t->list = xcalloc(LIMIT_TOKENS, sizeof *t->list);
    memcpy(t->list[t->count++], token, len);
}

static bool read_line(struct tokens *t, const char *line, size_t len, unsigned number, char *err, size_t err_size)
{
    while (len > 0 && is_blank(*line)) line++, len--;
    while (len > 0 && is_blank(line[len - 1])) len--;
    if (len == 0 || *line == '#') return true;
    const char *wrong = t->count == LIMIT_TOKENS ? "there are too many tokens" : fault(line, len);
    if (!wrong) {
        add(t, line, len);
        return true;
    }
    snprintf(err, err_size, "line %u: %s; a token has %u to %u letters, digits and -._~+/", number, wrong,
             LIMIT_TOKEN_LEAST_BYTES, LIMIT_TOKEN_BYTES);
    return false;
}

bool tokens_parse(struct tokens *t, const char *text, size_t len, char *err, size_t err_size)
{
    const char *at = text, *end = text + len;
    *t = (struct tokens){0};
    for (unsigned number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (!read_line(t, at, (size_t)(stop - at), number, err, err_size)) {
            tokens_release(t);
            return false;
        }
        at = stop + 1;
    }
    if (t->count == 0) snprintf(err, err_size, "there is no token");
    return t->count > 0;
}

bool tokens_read(struct tokens *t, const char *path, char *err, size_t err_size)
{
    struct buf text;
    char why[256];
    *t = (struct tokens){0};
    buf_init(&text, LIMIT_TOKEN_FILE_BYTES);
    /* Reserves all memory first, because a reallocation would leave copies of the tokens in freed memory. */
    if (!buf_reserve(&text, LIMIT_TOKEN_FILE_BYTES)) BUG("a reservation within the cap failed");
    bool good =
        regular_file_read(path, &text, why, sizeof why) && tokens_parse(t, text.data, text.len, why, sizeof why);
    explicit_bzero(text.data, text.alloc);
    buf_release(&text);
    if (!good) snprintf(err, err_size, "%s: %s", path, why);
    return good;
}

/* The comparison includes the padding, so a token never equals a longer token that begins with the same characters. */
bool tokens_has(const struct tokens *t, const char *token, size_t len)
{
    char asked[sizeof *t->list] = {0};
    unsigned char known = 0;
    if (len > LIMIT_TOKEN_BYTES || !token_is_well_formed(token, len)) return false;
    memcpy(asked, token, len);
    for (size_t i = 0; i < t->count; i++) {
        unsigned char differs = 0;
        for (size_t at = 0; at < sizeof asked; at++) differs |= (unsigned char)(asked[at] ^ t->list[i][at]);
        /* The expression is 1 if `differs` is 0, and 0 if not. The expression has no branch, so the time that it takes
         * does not depend on the tokens. */
        known |= (unsigned char)(((unsigned)differs - 1u) >> 31);
    }
    explicit_bzero(asked, sizeof asked);
    return known;
}

const char *tokens_first(const struct tokens *t)
{
    return t->count > 0 ? t->list[0] : NULL;
}

void tokens_release(struct tokens *t)
{
    if (t->list) explicit_bzero(t->list, LIMIT_TOKENS * sizeof *t->list);
    free(t->list);
    *t = (struct tokens){0};
}
