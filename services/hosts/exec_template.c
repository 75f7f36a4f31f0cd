#include "hosts/exec_template.h"

#include "protocol/shell_quote.h"

/* Returns whether the placeholder stands for a value or a part of a value. */
static bool is_of_value(enum exec_place place)
{
    return place != PLACE_NONE && place != PLACE_NUMBER && place != PLACE_SLOT && place != PLACE_TOTAL;
}

static const struct place_kind {
    const char *text;
    enum exec_place place;
    unsigned extensions;
} kinds[] =
    {
        {"}", PLACE_VALUE, 0},    {".}", PLACE_NO_EXTENSION, 1},       {"/}", PLACE_NAME, 0},
        {"//}", PLACE_FOLDER, 0}, {"/.}", PLACE_NAME_NO_EXTENSION, 1}, {"#}", PLACE_NUMBER, 0},
        {"%}", PLACE_SLOT, 0},
},
  plus_kinds[] = {
      {"..}", PLACE_NO_EXTENSION, 2},        {"...}", PLACE_NO_EXTENSION, 3}, {"/..}", PLACE_NAME_NO_EXTENSION, 2},
      {"/...}", PLACE_NAME_NO_EXTENSION, 3}, {"+.}", PLACE_EXTENSION, 1},     {"+..}", PLACE_EXTENSION, 2},
      {"+...}", PLACE_EXTENSION, 3},         {"+/}", PLACE_PARENT, 0},        {"##}", PLACE_TOTAL, 0},
};

static const struct place_kind *find_kind(const struct place_kind *of, size_t count, const char *at)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(at, of[i].text, strlen(of[i].text)) == 0) return &of[i];
    return NULL;
}

/* Reads the rest of a placeholder after "{" and its number. Returns the end of the placeholder, or NULL if the text is
 * not a placeholder. */
static const char *read_kind(const char *at, bool plus, struct exec_part *p)
{
    const char *end = NULL;
    const struct place_kind *kind = find_kind(kinds, ARRAY_SIZE(kinds), at);
    if (!kind && plus) kind = find_kind(plus_kinds, ARRAY_SIZE(plus_kinds), at);
    if (kind) {
        p->place = kind->place;
        p->extensions = kind->extensions;
        return at + strlen(kind->text);
    }
    if (plus) p->edit = value_edit_parse(at, &end);
    p->place = PLACE_EDITED;
    return p->edit ? end : NULL;
}

#define COLUMN_MOST 10000000 /* a placeholder cannot have a larger number, because a row has fewer values */

/* Returns the end of the placeholder at `at`, or NULL if there is none. */
static const char *read_place(const char *at, const struct exec_markers *m, struct exec_part *p)
{
    size_t marker_len = strlen(m->value);
    *p = (struct exec_part){.place = PLACE_VALUE, .text = at};
    if (strncmp(at, m->value, marker_len) == 0) return at + marker_len;
    if (m->only_value || *at != '{') return NULL;
    p->from_end = *++at == '-';
    const char *digits = at += p->from_end;
    for (; *at >= '0' && *at <= '9' && p->column < COLUMN_MOST / 10; at++)
        p->column = p->column * 10 + (size_t)(*at - '0');
    bool numbered = at > digits;
    if ((numbered && p->column == 0) || (p->from_end && !numbered)) return NULL;
    const char *end = read_kind(at, m->plus, p);
    if (!end) return NULL;
    if (!is_of_value(p->place) && numbered) return NULL;
    return p->place == PLACE_VALUE && !numbered ? NULL : end; /* {} is plain text if m->value is another text */
}

static void add_part(struct exec_template *t, struct exec_word *w, const struct exec_part *p)
{
    if (t->parts_count == t->parts_alloc) {
        t->parts_alloc = t->parts_alloc ? 2 * t->parts_alloc : 16;
        t->parts = xrealloc(t->parts, t->parts_alloc * sizeof *t->parts);
    }
    t->parts[t->parts_count++] = *p;
    w->count++;
}

static void add_text(struct exec_template *t, struct exec_word *w, const char *text, const char *end)
{
    if (end > text) add_part(t, w, &(struct exec_part){.text = text, .len = (size_t)(end - text)});
}

static struct exec_word read_word(struct exec_template *t, const char *word, const struct exec_markers *m)
{
    struct exec_word w = {.first = t->parts_count};
    struct exec_part p;
    const char *plain = word;
    for (const char *at = word; *at;) {
        const char *end = read_place(at, m, &p);
        if (!end) {
            at++;
            continue;
        }
        p.len = (size_t)(end - at);
        add_text(t, &w, plain, at);
        add_part(t, &w, &p);
        if (!is_of_value(p.place))
            t->has_number = true;
        else if (p.column < t->least_column)
            t->least_column = p.column;
        plain = at = end;
    }
    add_text(t, &w, plain, plain + strlen(plain));
    return w;
}

void exec_template_init(struct exec_template *t, char **argv, const struct exec_markers *m, bool append)
{
    *t = (struct exec_template){.argv = argv, .append = append, .least_column = SIZE_MAX};
    while (argv[t->argc]) t->argc++;
    t->words = xcalloc(t->argc + 1, sizeof *t->words);
    for (size_t i = 0; i < t->argc; i++) t->words[i] = read_word(t, argv[i], m);
    struct exec_word *last = &t->words[t->argc];
    *last = (struct exec_word){.first = t->parts_count};
    add_part(t, last, &(struct exec_part){.place = PLACE_VALUE, .text = ""});
}

void exec_template_release(struct exec_template *t)
{
    for (size_t i = 0; i < t->parts_count; i++) value_edit_free(t->parts[i].edit);
    free(t->words);
    free(t->parts);
    *t = (struct exec_template){0};
}

/* Returns whether a placeholder stands for a value of the row. */
static bool has_value_place(const struct exec_template *t, const struct exec_row *row)
{
    return t->blanks ? t->least_column != SIZE_MAX : t->least_column <= row->count;
}

/* Returns how many words of the template become arguments. */
static size_t words_count(const struct exec_template *t, const struct exec_row *row)
{
    return t->argc + (t->append && !t->ignores && !t->has_number && !has_value_place(t, row));
}

bool exec_template_takes(const struct exec_template *t, const struct exec_row *row)
{
    return t->append || has_value_place(t, row);
}

static size_t name_start(const char *text, size_t len)
{
    const char *slash = len ? memrchr(text, '/', len) : NULL;
    return slash ? (size_t)(slash + 1 - text) : 0;
}

/* Returns the length of the text without its last `extensions` extensions. An extension begins at a dot of the file
 * name. If the name has fewer extensions, returns the length of the whole text. */
static size_t stem_len(const char *text, size_t len, unsigned extensions)
{
    size_t name = name_start(text, len), end = len;
    for (; extensions > 0; extensions--) {
        const char *dot = end > name ? memrchr(text + name, '.', end - name) : NULL;
        if (!dot) return len;
        end = (size_t)(dot - text);
    }
    return end;
}

/* Adds the folder of the path, without the slash before the name. Adds nothing if the path has no folder. */
static void add_parent(struct buf *b, const char *text, size_t len)
{
    size_t name = name_start(text, len);
    if (name > 0) buf_add(b, text, name - 1);
}

/* Adds the last extensions without their first dot. */
static void add_extension(struct buf *b, const char *text, size_t len, unsigned extensions)
{
    size_t stem = stem_len(text, len, extensions);
    if (stem < len) buf_add(b, text + stem + 1, len - stem - 1);
}

/* Adds the folder of the path, as dirname(1) prints it: "." if the path names no folder. Slashes at the end of the path
 * are ignored. */
static void add_folder(struct buf *b, const char *text, size_t len)
{
    size_t end = len;
    while (end > 1 && text[end - 1] == '/') end--;
    bool root = end == 1 && text[0] == '/';
    end = root ? 1 : name_start(text, end);
    while (end > 1 && text[end - 1] == '/') end--;
    buf_add(b, end ? text : ".", end ? end : 1);
}

static void add_value(struct buf *b, const struct exec_part *p, const char *text, size_t len)
{
    size_t name = name_start(text, len), stem = stem_len(text, len, p->extensions);
    switch (p->place) {
    case PLACE_VALUE: buf_add(b, text, len); break;
    case PLACE_NO_EXTENSION: buf_add(b, text, stem); break;
    case PLACE_NAME: buf_add(b, text + name, len - name); break;
    case PLACE_FOLDER: add_folder(b, text, len); break;
    case PLACE_NAME_NO_EXTENSION: buf_add(b, text + name, stem - name); break;
    case PLACE_EXTENSION: add_extension(b, text, len, p->extensions); break;
    case PLACE_PARENT: add_parent(b, text, len); break;
    case PLACE_EDITED: value_edit_apply(p->edit, text, len, b); break;
    case PLACE_NONE:
    case PLACE_NUMBER:
    case PLACE_SLOT:
    case PLACE_TOTAL: break;
    }
}

static void add_column(struct buf *b, const struct exec_template *t, const struct exec_part *p,
                       const struct exec_row *row, size_t i)
{
    struct buf plain = {0};
    add_value(t->quotes ? &plain : b, p, exec_row_text(row, i), row->values[i].len);
    if (t->quotes) shell_quote_add(b, buf_cstr(&plain), plain.len);
    buf_release(&plain);
}

static bool is_plain(const struct exec_template *t, const struct exec_part *p, const struct exec_row *row)
{
    bool lacks = p->column > row->count && !t->blanks;
    return p->place == PLACE_NONE || lacks || (p->place == PLACE_SLOT && row->slot == 0);
}

/* If `only` is not SIZE_MAX, a placeholder for all values stands only for the value with this index. */
static void add_part_text(struct buf *b, const struct exec_template *t, const struct exec_part *p,
                          const struct exec_row *row, size_t only)
{
    size_t first = only == SIZE_MAX ? 0 : only, end = only == SIZE_MAX ? row->count : only + 1;
    if (is_plain(t, p, row)) {
        buf_add(b, p->text, p->len);
    } else if (p->place == PLACE_NUMBER) {
        buf_add_u64(b, row->index + 1);
    } else if (p->place == PLACE_TOTAL) {
        buf_add_u64(b, t->total);
    } else if (p->place == PLACE_SLOT) {
        buf_add_u64(b, row->slot);
    } else if (p->column > row->count) {
        return;
    } else if (p->column) {
        add_column(b, t, p, row, p->from_end ? row->count - p->column : p->column - 1);
    } else {
        for (size_t i = first; i < end; i++) {
            if (i > first) buf_add_char(b, ' ');
            add_column(b, t, p, row, i);
        }
    }
}

static void add_word_text(struct buf *b, const struct exec_template *t, const struct exec_word *w,
                          const struct exec_row *row, size_t only)
{
    for (size_t i = 0; i < w->count; i++) add_part_text(b, t, &t->parts[w->first + i], row, only);
}

/* Returns whether the word is repeated for each value. A word that is only a placeholder for all values is always
 * repeated. */
static bool is_repeated(const struct exec_template *t, const struct exec_word *w)
{
    bool has_all = false;
    for (size_t i = 0; i < w->count; i++) {
        const struct exec_part *p = &t->parts[w->first + i];
        has_all = has_all || (p->column == 0 && is_of_value(p->place));
    }
    return has_all && (t->repeats || w->count == 1);
}

/* Begins an argument at `offset` of args->text. SIZE_MAX: the argument of the template is used unchanged. */
static void begin_argument(struct exec_args *args, size_t offset)
{
    if (args->count == args->room) {
        args->room = args->room ? 2 * args->room : 16;
        args->base = xrealloc(args->base, (args->room + 2) * sizeof *args->base);
        args->offsets = xrealloc(args->offsets, args->room * sizeof *args->offsets);
        args->argv = args->base + 1;
    }
    args->offsets[args->count++] = offset;
}

static void add_argument(struct exec_args *args, const struct exec_template *t, const struct exec_word *w,
                         const struct exec_row *row, size_t only)
{
    begin_argument(args, args->text.len);
    add_word_text(&args->text, t, w, row, only);
    buf_add_char(&args->text, '\0');
}

/* Adds an argument that is used unchanged. */
static void add_plain(struct exec_args *args, char *text)
{
    begin_argument(args, SIZE_MAX);
    args->argv[args->count - 1] = text;
}

static void add_word(struct exec_args *args, const struct exec_template *t, size_t word, const struct exec_row *row)
{
    const struct exec_word *w = &t->words[word];
    bool plain = true;
    for (size_t i = 0; i < w->count; i++) plain = plain && is_plain(t, &t->parts[w->first + i], row);
    if (plain) {
        add_plain(args, t->argv[word]);
    } else if (is_repeated(t, w)) {
        for (size_t i = 0; i < row->count; i++) add_argument(args, t, w, row, i);
    } else {
        add_argument(args, t, w, row, SIZE_MAX);
    }
}

/* Adds the word, quoted for a shell. If a placeholder stands for several values, the word is divided into several
 * words, at the spaces between these values. */
static void add_quoted_word(struct buf *b, const struct exec_template *t, const struct exec_word *w,
                            const struct exec_row *row, size_t only)
{
    struct buf plain = {0};
    for (size_t i = 0; i < w->count; i++) {
        const struct exec_part *p = &t->parts[w->first + i];
        bool several = is_of_value(p->place) && p->column == 0 && only == SIZE_MAX;
        if (!several) add_part_text(&plain, t, p, row, only);
        for (size_t value = 0; several && value < row->count; value++) {
            if (value > 0) {
                shell_quote_add(b, buf_cstr(&plain), plain.len);
                buf_add_char(b, ' ');
                buf_clear(&plain);
            }
            add_column(&plain, t, p, row, value);
        }
    }
    shell_quote_add(b, buf_cstr(&plain), plain.len);
    buf_release(&plain);
}

static void join_word(struct buf *b, const struct exec_template *t, const struct exec_word *w,
                      const struct exec_row *row, size_t only)
{
    if (t->quotes_words)
        add_quoted_word(b, t, w, row, only);
    else
        add_word_text(b, t, w, row, only);
}

void exec_template_join(const struct exec_template *t, const struct exec_row *row, struct buf *text)
{
    for (size_t word = 0; word < words_count(t, row); word++) {
        const struct exec_word *w = &t->words[word];
        bool repeated = is_repeated(t, w) && row->count > 0;
        if (word > 0) buf_add_char(text, ' ');
        if (!repeated) join_word(text, t, w, row, SIZE_MAX);
        for (size_t i = 0; repeated && i < row->count; i++) {
            if (i > 0) buf_add_char(text, ' ');
            join_word(text, t, w, row, i);
        }
    }
}

/* Adds the arguments of the shell that runs the words. */
static void add_code(struct exec_args *args, const struct exec_template *t, const struct exec_row *row)
{
    static char option[] = "-c";
    add_plain(args, t->shell);
    add_plain(args, option);
    begin_argument(args, 0);
    exec_template_join(t, row, &args->text);
    buf_add_char(&args->text, '\0');
}

void exec_args_build(struct exec_args *args, const struct exec_template *t, const struct exec_row *row)
{
    args->count = 0;
    buf_clear(&args->text);
    if (t->shell)
        add_code(args, t, row);
    else
        for (size_t i = 0; i < words_count(t, row); i++) add_word(args, t, i, row);
    /* args->text is now complete, so its memory no longer moves. */
    for (size_t i = 0; i < args->count; i++)
        if (args->offsets[i] != SIZE_MAX) args->argv[i] = args->text.data + args->offsets[i];
    args->argv[args->count] = NULL;
}

void exec_args_release(struct exec_args *args)
{
    free(args->base);
    free(args->offsets);
    buf_release(&args->text);
    *args = (struct exec_args){0};
}
