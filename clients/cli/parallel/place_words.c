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

/* Returns whether the text begins with a placeholder such as {2/.} or, if `named` is set, with {NAME}. */
static bool is_numbered(const char *text, bool named)
{
    if (*text != '{') return false;
    size_t len = strcspn(text, " \t\n}");
    if (text[len] != '}' || len == 1) return false;
    size_t digits = strspn(text + 1 + (text[1] == '-'), "0123456789");
    if (digits == 0) return named;
    const char *form = text + 1 + (text[1] == '-') + digits;
    return form[strspn(form, "./")] == '}';
}

bool place_words_begin_code(const struct place_words *p, const char *code, bool named)
{
    for (const char *at = code; *at && !strchr(" \t\n=", *at); at++) {
        if (begins_with(at, p->value) || is_numbered(at, named)) return true;
        for (size_t i = 0; i < PLACE_WORDS_FORMS; i++)
            if (begins_with(at, p->forms[i].standard)) return true;
    }
    return false;
}
