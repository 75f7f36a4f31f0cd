#include "cli/blocks/record_ends.h"

static bool add_text(struct record_ends *e, const char *text)
{
    static const char letters[] = "nrt0\\'\"", bytes[] = "\n\r\t\0\\'\"";
    for (; text && *text; text++) {
        const char *letter = text;
        if (e->len == sizeof e->text) return false;
        if (*text == '\\') {
            letter = text[1] ? strchr(letters, text[1]) : NULL;
            if (!letter) return false;
            letter = bytes + (letter - letters);
            text++;
        }
        e->text[e->len++] = *letter;
    }
    return true;
}

bool record_ends_init(struct record_ends *e, const char *start, const char *end)
{
    *e = (struct record_ends){0};
    if (!add_text(e, start || end ? end : "\\n")) return false;
    e->end_len = e->len;
    return add_text(e, start);
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t record_ends_last(const struct record_ends *e, const char *data, size_t len, size_t max)
{
    size_t ahead = record_ends_ahead(e), places;
    max = lesser(max, len);
    if (e->len == 0) return max;
    if (len < e->len || max < e->end_len) return 0;
    /* The text may begin at any place before `places`. */
    places = lesser(max - e->end_len, len - ahead - e->end_len) + 1;
    for (const char *at; (at = memrchr(data, e->text[0], places)); places = (size_t)(at - data)) {
        size_t cut = (size_t)(at - data) + e->end_len;
        if (cut == 0) return 0;
        if (memcmp(at, e->text, e->len) == 0) return cut;
    }
    return 0;
}

size_t record_ends_next(const struct record_ends *e, const char *data, size_t len, size_t min)
{
    if (e->len == 0) return min <= len ? min : 0;
    size_t from = min > e->end_len ? min - e->end_len : 0;
    if (from >= len) return 0;
    const char *at = memmem(data + from, len - from, e->text, e->len);
    return at ? (size_t)(at - data) + e->end_len : 0;
}
