#include "cli/items/line_length.h"

#include "protocol/shell_quote.h"

/* If a placeholder of --plus for all values begins at `at`, returns the length of the placeholder; otherwise 0. Sets
 * *added to how many bytes the placeholder can add to a value: the length of its own text. */
static size_t plus_length(const char *at, size_t *added)
{
    const char *end = *at == '{' && at[1] && strchr(":#%/^,+.", at[1]) ? strchr(at, '}') : NULL;
    bool is_number = strncmp(at, "{#}", 3) == 0 || strncmp(at, "{%}", 3) == 0 || strncmp(at, "{##}", 4) == 0;
    if (!end || is_number) return 0;
    size_t len = (size_t)(end + 1 - at);
    *added = at[1 + strspn(at + 1, "./+")] == '}' ? 0 : len;
    return len;
}

/* If a placeholder for all values begins at `at`, returns the length of the placeholder; otherwise 0. Sets *added to
 * how many bytes it can add to a value. */
static size_t place_length(const struct line_words *w, const char *at, size_t *added)
{
    static const char *const others[] = {"{.}", "{/}", "{//}", "{/.}"};
    const char *marker = w->marker ? w->marker : "{}";
    *added = 0;
    if (strncmp(at, marker, strlen(marker)) == 0) return strlen(marker);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strncmp(at, others[i], strlen(others[i])) == 0) return strlen(others[i]);
    return w->plus ? plus_length(at, added) : 0;
}

/* If {#} or {%} begins at `at`, returns the greatest length of the number that replaces it; otherwise 0. */
static size_t number_length(const char *at)
{
    static const char greatest[] = "18446744073709551615";
    return strncmp(at, "{#}", 3) == 0 || strncmp(at, "{%}", 3) == 0 ? sizeof greatest - 1 : 0;
}

struct word_length {
    size_t places; /* placeholders for all values */
    size_t added;  /* bytes that these placeholders add to each value, see place_length() */
    size_t rest;   /* length of the other text */
};

static struct word_length measure_word(const struct line_words *w, const char *word)
{
    struct word_length l = {0};
    size_t n, added;
    for (const char *at = word; *at; at += n ? n : 1) {
        n = place_length(w, at, &added);
        l.places += n > 0;
        l.added += added;
        if (n > 0) continue;
        size_t number = number_length(at);
        n = number ? 3 : 1;
        l.rest += number ? number : 1;
    }
    return l;
}

/* Returns the maximum number of bytes that quoting for a shell adds to the text. */
static size_t quoting_length(const char *text, size_t len)
{
    size_t sum = 2;
    for (const char *at = text, *end = text + len; (at = memchr(at, '\'', (size_t)(end - at))); at++) sum += 6;
    return sum;
}

/* Each word counts one byte more, for the space or the NUL byte after it. */
void line_length_measure(struct line_length *l, const struct line_words *w)
{
    *l = (struct line_length){0};
    for (char *const *word = w->words; *word; word++) {
        struct word_length one = measure_word(w, *word);
        if (w->quotes_words) one.rest += quoting_length(*word, strlen(*word));
        bool is_repeated = one.places > 0 && w->repeats;
        if (!is_repeated) l->fixed += one.rest + (one.rest > 0 || one.places == 0);
        l->each += one.added + (is_repeated ? one.rest + 1 : one.places);
        l->times += one.places;
    }
    if (l->times == 0) l->each = l->times = 1; /* values are appended, or replace {1} and so on */
}

/* Returns the maximum length of the value when it is quoted for a shell. */
static size_t quoted_length(struct json_slice value)
{
    bool plain = shell_quote_is_plain(value.data, value.len);
    return value.len + (plain ? 0 : quoting_length(value.data, value.len));
}

size_t line_length_of(const struct line_length *l, const struct input_record *r)
{
    size_t sum = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct json_slice value = record_value(r, i);
        sum += l->each + l->times * (l->quoted ? quoted_length(value) : value.len);
    }
    return sum;
}
