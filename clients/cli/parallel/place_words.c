#include "cli/parallel/place_words.h"

#include "common/base/buf.h"

static size_t begins_with(const char *text, const char *word)
{
    size_t len = strlen(word);
    return len && strncmp(text, word, len) == 0 ? len : 0;
}

char *place_words_standard(const struct place_words *p, const char *text)
{
    struct buf out = {0};
    while (*text) {
        size_t len = 0;
        for (size_t i = 0; i < PLACE_WORDS_FORMS && !len; i++) {
            len = begins_with(text, p->forms[i].given);
            if (len) buf_add_str(&out, p->forms[i].standard);
        }
        if (!len) buf_add_char(&out, *text);
        text += len ? len : 1;
    }
    buf_add_char(&out, '\0');
    return buf_detach(&out, NULL);
}

/* Returns the length of a placeholder such as {2/.} or {%.txt} or {NAME} at the start of the text; 0: there is none. */
static size_t braced_length(const struct place_words *p, const char *text)
{
    if (*text != '{') return 0;
    size_t number = text[1] == '-';
    number += strspn(text + 1 + number, "0123456789");
    const char *form = text + 1 + number, *end = strchr(form, '}');
    if (!end) return 0;
    bool is_number = number > (size_t)(text[1] == '-') && form[strspn(form, "./")] == '}';
    bool is_plus = p->plus && end > form && strchr(":#%/^,+.", *form);
    bool is_name = p->named && end > text + 1 && strcspn(text, " \t\n") > (size_t)(end - text);
    return is_number || is_plus || is_name ? (size_t)(end + 1 - text) : 0;
}

static size_t length_of(const struct place_words *p, const char *text)
{
    size_t len = begins_with(text, p->value);
    for (size_t i = 0; i < PLACE_WORDS_FORMS && !len; i++) len = begins_with(text, p->forms[i].standard);
    return len ? len : braced_length(p, text);
}

bool place_words_begin_code(const struct place_words *p, const char *code)
{
    for (const char *at = code; *at && !strchr(" \t\n=", *at); at++)
        if (length_of(p, at)) return true;
    return false;
}
