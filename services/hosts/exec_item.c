#include "hosts/exec_item.h"

static bool parse_hex4(const char *at, const char *end, unsigned *code)
{
    if (end - at < 4) return false;
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        unsigned letter = (c | 0x20u) - 'a';
        if (c >= '0' && c <= '9')
            value = value * 16 + c - '0';
        else if (letter < 6)
            value = value * 16 + letter + 10;
        else
            return false;
    }
    *code = value;
    return true;
}

static void add_utf8(struct buf *b, unsigned code)
{
    unsigned char bytes[4];
    size_t n;
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        n = 1;
    } else if (code < 0x800) {
        bytes[0] = (unsigned char)(0xC0 | code >> 6);
        n = 2;
    } else if (code < 0x10000) {
        bytes[0] = (unsigned char)(0xE0 | code >> 12);
        n = 3;
    } else {
        bytes[0] = (unsigned char)(0xF0 | code >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++) bytes[i] = (unsigned char)(0x80 | ((code >> (6 * (n - 1 - i))) & 0x3F));
    buf_add(b, bytes, n);
}

/* `at` points after "\u". Returns NULL for a lone surrogate, because UTF-8 cannot encode it. */
static const char *add_unicode_escape(struct buf *b, const char *at, const char *end)
{
    unsigned code, low;
    if (!parse_hex4(at, end, &code)) return NULL;
    at += 4;
    if (code >= 0xD800 && code < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' &&
        parse_hex4(at + 2, end, &low) && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    } else if (code >= 0xD800 && code < 0xE000) {
        return NULL;
    }
    add_utf8(b, code);
    return at;
}

static const char *add_escape(struct buf *b, const char *at, const char *end)
{
    static const char letters[] = "bfnrt\"\\/", chars[] = "\b\f\n\r\t\"\\/";
    if (at == end) return NULL;
    if (*at == 'u') return add_unicode_escape(b, at + 1, end);
    const char *found = *at ? strchr(letters, *at) : NULL;
    if (!found) return NULL;
    buf_add_char(b, chars[found - letters]);
    return at + 1;
}

bool exec_item_text(const char *json, size_t len, struct buf *text)
{
    buf_clear(text);
    if (len == 0 || json[0] != '"') return buf_add(text, json, len);
    if (len < 2 || json[len - 1] != '"') return false;
    const char *at = json + 1, *end = json + len - 1;
    while (at && at < end) {
        const char *backslash = memchr(at, '\\', (size_t)(end - at));
        const char *run_end = backslash ? backslash : end;
        buf_add(text, at, (size_t)(run_end - at));
        at = backslash ? add_escape(text, backslash + 1, end) : end;
    }
    return at != NULL;
}

void exec_template_init(struct exec_template *t, char **argv, bool append)
{
    *t = (struct exec_template){.argv = argv};
    for (; argv[t->argc]; t->argc++)
        if (strstr(argv[t->argc], "{}")) t->has_marker = true;
    t->append = append && !t->has_marker;
}

bool exec_template_uses_item(const struct exec_template *t)
{
    return t->has_marker || t->append;
}

static void add_with_item(struct buf *b, const char *arg, const char *text, size_t len)
{
    for (const char *marker; (marker = strstr(arg, "{}")); arg = marker + 2) {
        buf_add(b, arg, (size_t)(marker - arg));
        buf_add(b, text, len);
    }
    buf_add(b, arg, strlen(arg) + 1);
}

static void make_room(struct exec_args *args, size_t count)
{
    if (args->room >= count) return;
    args->base = xrealloc(args->base, (count + 2) * sizeof *args->base);
    args->offsets = xrealloc(args->offsets, count * sizeof *args->offsets);
    args->argv = args->base + 1;
    args->room = count;
}

void exec_args_build(struct exec_args *args, const struct exec_template *t, const char *text, size_t len)
{
    size_t count = (size_t)t->argc + t->append;
    make_room(args, count);
    buf_clear(&args->text);
    for (size_t i = 0; i < count; i++) {
        const char *arg = i < (size_t)t->argc ? t->argv[i] : "{}";
        bool changes = (t->has_marker || i >= (size_t)t->argc) && strstr(arg, "{}");
        args->offsets[i] = changes ? args->text.len : SIZE_MAX;
        if (changes) add_with_item(&args->text, arg, text, len);
    }
    /* args->text is now complete, so its memory no longer moves. */
    for (size_t i = 0; i < count; i++)
        args->argv[i] = args->offsets[i] == SIZE_MAX ? t->argv[i] : args->text.data + args->offsets[i];
    args->argv[count] = NULL;
}

void exec_args_release(struct exec_args *args)
{
    free(args->base);
    free(args->offsets);
    buf_release(&args->text);
    *args = (struct exec_args){0};
}
