#include "cli/items/line_length.h"

#include "protocol/shell_quote.h"

/* If a placeholder for all values begins at `at`, returns the length of the placeholder; otherwise 0. */
static size_t place_length(const char *at, const char *marker)
{
    static const char *const others[] = {"{.}", "{/}", "{//}", "{/.}"};
    if (strncmp(at, marker, strlen(marker)) == 0) return strlen(marker);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strncmp(at, others[i], strlen(others[i])) == 0) return strlen(others[i]);
    return 0;
}

/* If {#} or {%} begins at `at`, returns the greatest length of the number that replaces it; otherwise 0. */
static size_t number_length(const char *at)
{
    static const char greatest[] = "18446744073709551615";
    return strncmp(at, "{#}", 3) == 0 || strncmp(at, "{%}", 3) == 0 ? sizeof greatest - 1 : 0;
}

/* Returns how many placeholders for all values the word has. Sets *rest to the length of its other text. */
static size_t count_places(const char *word, const char *marker, size_t *rest)
{
    size_t count = 0, n;
    *rest = 0;
    for (const char *at = word; *at; at += n ? n : 1) {
        n = place_length(at, marker);
        count += n > 0;
        if (n > 0) continue;
        size_t number = number_length(at);
        n = number ? 3 : 1;
        *rest += number ? number : 1;
    }
    return count;
}

/* Returns how many bytes the text becomes longer at most when it is quoted for a shell. */
static size_t quoting_length(const char *text, size_t len)
{
    size_t sum = 2;
    for (const char *at = text, *end = text + len; (at = memchr(at, '\'', (size_t)(end - at))); at++) sum += 6;
    return sum;
}

/* Each word counts one byte more, for the space or the NUL byte after it. */
void line_length_measure(struct line_length *l, char *const *words, const char *marker, bool repeats, bool quotes_words)
{
    *l = (struct line_length){0};
    for (char *const *word = words; *word; word++) {
        size_t rest, places = count_places(*word, marker ? marker : "{}", &rest);
        if (quotes_words) rest += quoting_length(*word, strlen(*word));
        bool is_repeated = places > 0 && repeats;
        if (!is_repeated) l->fixed += rest + (rest > 0 || places == 0);
        l->each += is_repeated ? rest + 1 : places;
        l->times += places;
    }
    if (l->times == 0) l->each = l->times = 1; /* the values are appended, or have numbers */
}

/* Returns how many bytes the value has at most when it is quoted for a shell. */
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
