#include "cli/options/record_options.h"

#include "cli/base/exit_status.h"

bool record_options_take_zero(struct record_options *o)
{
    bool zero = o->group == 0 || o->group_words == 0;
    if (o->group < 0) o->group = 0;
    if (o->group_words < 0) o->group_words = 0;
    return zero;
}

bool record_options_has_header(const struct record_options *o)
{
    return o->header && strcmp(o->header, "0") != 0;
}

static bool has_columns(const struct record_options *o)
{
    return o->colsep || o->csv || record_options_has_header(o);
}

static bool is_grouped(const struct record_options *o)
{
    return o->group || o->group_words || o->many || o->many_words;
}

bool record_options_given(const struct record_options *o)
{
    return o->array || has_columns(o) || is_grouped(o) || o->trim || o->end || o->skip_blank;
}

const char *record_options_name(const struct record_options *o)
{
    const struct {
        bool given;
        const char *name;
    } options[] = {
        {o->colsep, "colsep"},
        {o->csv, "csv"},
        {o->array, "array"},
        {o->delimiter, "delimiter"},
        {o->trim, "trim"},
        {o->end, "eof"},
        {o->skip_blank, "no-run-if-empty"},
        {o->link, "link"},
        {o->group, "max-args"},
        {o->many, "many"},
        {o->many_words, "many-words"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].given) return options[i].name;
    return NULL;
}

/* As in GNU parallel, -N implies -X unless -m is given. */
bool record_options_repeat(const struct record_options *o)
{
    return o->many_words || (o->group_words && !o->many);
}

/* Returns whether the options make the values text, even if the values would otherwise be JSON. */
static bool makes_text(const struct record_options *o)
{
    return o->colsep || o->csv;
}

/* Returns whether fantail accepts `text` as the value of --header. GNU parallel accepts any text, but it never reads
 * more than one line as the header, unless the input is cut into blocks. */
static bool is_header(const char *text)
{
    static const char *const known[] = {":", ".*\\n", "1", "0"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(text, known[i]) == 0) return true;
    return false;
}

static int check_columns(const struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    const char *columns = o->csv ? "csv" : o->colsep ? "colsep" : "header";
    if (o->colsep && !*o->colsep) return option_complain(spec, "colsep", "must not be empty");
    if (o->header && !c->blocks && !is_header(o->header))
        return option_complain(spec, "header",
                               "must be :, which stands for the first line. --colsep says what separates its columns");
    if (o->csv && c->nulls) return option_complain(spec, "csv", "cannot be given together with --null");
    if (makes_text(o) && c->json)
        return option_complain(spec, columns, "makes values of text, so it cannot be given together with --json");
    if (c->to_stdin && makes_text(o))
        return option_complain(spec, "stdin", "is for one value, but with --%s an item has several", columns);
    return EXIT_OK;
}

static int check_groups(const struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    const char *of_command = o->group_words  ? "max-replace-args"
                             : o->many       ? "many"
                             : o->many_words ? "many-words"
                             : o->max_chars  ? "max-chars"
                                             : NULL;
    if (of_command && !c->command) return option_complain(spec, of_command, "is for a command (after --) only");
    if (o->max_chars && !is_grouped(o))
        return option_complain(spec, "max-chars", "has no effect without -m, -X, -n or -N");
    if (o->group && o->group_words)
        return option_complain(spec, "max-replace-args", "cannot be given together with -n");
    if (o->many && o->many_words) return option_complain(spec, "many", "cannot be given together with -X");
    if (c->to_stdin && is_grouped(o))
        return option_complain(spec, "stdin", "is for one value, but with -n, -N, -m or -X an item has several");
    return EXIT_OK;
}

/* Reads one character, or an escape sequence of C. */
static bool read_byte(const char *text, char *byte)
{
    static const char letters[] = "0ntrfva\\", bytes[] = "\0\n\t\r\f\v\a\\";
    char *end;
    *byte = *text;
    if (*text != '\\') return *text && !text[1];
    const char *letter = text[1] && !text[2] ? strchr(letters, text[1]) : NULL;
    if (letter) {
        *byte = bytes[letter - letters];
        return true;
    }
    bool hex = text[1] == 'x', octal = text[1] >= '0' && text[1] <= '7';
    unsigned long number = strtoul(text + 1 + hex, &end, hex ? 16 : 8);
    *byte = (char)number;
    return (hex || octal) && text[1 + hex] && *end == '\0' && number < 256;
}

static bool is_trim(const char *text)
{
    static const char *const known[] = {"n", "l", "r", "lr", "rl"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(text, known[i]) == 0) return true;
    return false;
}

bool record_options_ends_otherwise(const struct record_options *o)
{
    return o->delimiter && o->delimiter_byte != '\n';
}

/* Checks the options that say what a value is. */
static int check_values(struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    const char *of_text = o->trim ? "trim" : o->end ? "eof" : NULL;
    if (!of_text && o->skip_blank) of_text = "no-run-if-empty";
    if (of_text && !makes_text(o) && !c->text && !c->nulls && !o->delimiter)
        return option_complain(spec, of_text, "is for values that are text. Give --text");
    if (o->delimiter && !read_byte(o->delimiter, &o->delimiter_byte))
        return option_complain(spec, "delimiter", "must be one byte, such as , or \\t or \\x1f");
    const char *other = o->csv ? "csv" : c->nulls ? "null" : c->json ? "json" : NULL;
    if (o->delimiter && other) return option_complain(spec, "delimiter", "cannot be given together with --%s", other);
    if (o->trim && !is_trim(o->trim)) return option_complain(spec, "trim", "must be l, r, lr or n");
    if (o->shuf && o->csv) return option_complain(spec, "shuf", "cannot be given together with --csv");
    if (o->shuf && c->resumes) return option_complain(spec, "shuf", "cannot be given together with --resume");
    if (o->trim && o->csv) return option_complain(spec, "trim", "cannot be given together with --csv");
    return EXIT_OK;
}

static int check_array(const struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    const char *other = o->csv         ? "csv"
                        : o->colsep    ? "colsep"
                        : o->header    ? "header"
                        : o->delimiter ? "delimiter"
                        : o->shuf      ? "shuf"
                        : o->link      ? "link"
                        : c->nulls     ? "null"
                        : c->raw       ? "raw"
                                       : NULL;
    if (!o->array) return EXIT_OK;
    if (other) return option_complain(spec, "array", "cannot be given together with --%s", other);
    if (!c->text) return EXIT_OK;
    return option_complain(spec, "array",
                           c->command ? "needs --json, because the items are JSON"
                                      : "cannot be given together with --text");
}

int record_options_check(struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    int status = check_values(o, spec, c);
    if (!status) status = check_columns(o, spec, c);
    if (!status) status = check_array(o, spec, c);
    return status ? status : check_groups(o, spec, c);
}

/* Plans how many records become one item. The length of a command line is limited only if a command may get several
 * records. */
static void plan_groups(const struct record_options *o, const struct record_context *c, struct record_plan *p)
{
    p->group_max = (size_t)(o->group ? o->group : o->group_words);
    if (!is_grouped(o) || !c->command) return;
    p->length_max = o->max_chars ? (size_t)o->max_chars : RECORD_LINE_BYTES;
    if (o->many || o->many_words) p->shares = c->slots;
}

void record_options_measure(const struct record_options *o, const struct record_context *c, struct line_length *l)
{
    const struct line_words words = {.words = c->command,
                                     .marker = c->marker,
                                     .repeats = record_options_repeat(o),
                                     .quotes_words = c->quotes_words,
                                     .plus = c->plus};
    line_length_measure(l, &words);
    l->quoted = c->shell;
}

void record_options_plan(const struct record_options *o, const struct record_context *c, struct record_plan *p)
{
    bool is_text = makes_text(o) || c->text || c->nulls || record_options_ends_otherwise(o);
    bool header = record_options_has_header(o);
    const char *trim = o->trim ? o->trim : o->colsep ? "lr" : "n";
    *p = (struct record_plan){
        .separator = o->colsep,
        .trims_left = !o->csv && strchr(trim, 'l'),
        .trims_right = !o->csv && strchr(trim, 'r'),
        .csv = o->csv,
        .array = o->array,
        .nulls = c->nulls || record_options_ends_otherwise(o),
        .delimiter = o->delimiter_byte,
        .skip_blank = o->skip_blank,
        .end = o->end,
        .header = header,
        .rows = c->command != NULL,
        .values = c->raw    ? ITEM_VALUES_RAW
                  : is_text ? ITEM_VALUES_TEXT
                            : ITEM_VALUES_JSON,
    };
    if (header && is_text && !p->separator && !p->csv && !c->to_stdin) p->separator = "\t";
    plan_groups(o, c, p);
}

void record_words_number(struct record_words *w, const struct header_names *names, char ***words, const char **tag)
{
    size_t count = 0;
    while ((*words)[count]) count++;
    w->words = xcalloc(count + 1, sizeof *w->words);
    for (size_t i = 0; i < count; i++) {
        char *numbered = header_names_number(names, (*words)[i]);
        w->words[i] = numbered ? numbered : xstrdup((*words)[i]);
    }
    *words = w->words;
    if (*tag) w->tag = header_names_number(names, *tag);
    if (w->tag) *tag = w->tag;
}

static void set_words(struct record_words *w, char **words)
{
    for (char **word = w->words; word && *word; word++) free(*word);
    free(w->words);
    w->words = words;
}

void record_words_cut(struct record_words *w, char ***words)
{
    struct buf line = {0};
    for (char **word = *words; *word; word++) {
        if (word != *words) buf_add_char(&line, ' ');
        buf_add_str(&line, *word);
    }
    size_t spaces = 0, count = 0;
    for (const char *at = buf_cstr(&line); (at = strchr(at, ' ')); at++) spaces++;
    char **cut = xcalloc(spaces + 2, sizeof *cut);
    const char *at = buf_cstr(&line), *end = at + strspn(at, " "); /* the first word must not be empty */
    for (end = strchrnul(end, ' ');; end = strchrnul(at, ' ')) {
        cut[count++] = xstrndup(at, (size_t)(end - at));
        if (!*end) break;
        at = end + 1;
    }
    buf_release(&line);
    set_words(w, cut);
    *words = w->words;
}

void record_words_release(struct record_words *w)
{
    set_words(w, NULL);
    free(w->tag);
    *w = (struct record_words){0};
}
