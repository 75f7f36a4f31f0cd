#include "common/service/option.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/service/option_print.h"

struct parse {
    const struct option_spec *spec;
    void *config;
    enum option_source *sources; /* where the value of each row comes from */
    int argc;
    char **argv;
    int at;         /* the argument that is being read */
    int operands;   /* number of operands found so far; they are at argv[1..operands] */
    int unknown_at; /* the last unknown option, whose value may be the next argument; 0: none */
    char letter;    /* letter of the option that is being read; 0: the user gave the name of the option */
    bool failed, help, version, print_config;
};

int option_complain(const struct option_spec *spec, const char *name, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", spec->program);
    if (name) fprintf(stderr, "--%s: ", name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return 2;
}

/* Complains about an option or its value. If the user gave the option's letter, the message has this letter too. */
static void complain_of_given(struct parse *p, const struct option_row *row, const char *text)
{
    if (p->letter)
        option_complain(p->spec, NULL, "-%c (--%s): %s", p->letter, row->name, text);
    else
        option_complain(p->spec, row->name, "%s", text);
    p->failed = true;
}

/* The functions that read values. If the text is not a valid value for the row, they return false. */

static bool read_bool(const char *text, bool *out)
{
    static const char *const on[] = {"true", "yes", "on", "1"}, *const off[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
        if (strcasecmp(text, on[i]) == 0) return *out = true, true;
        if (strcasecmp(text, off[i]) == 0) return *out = false, true;
    }
    return false;
}

static bool starts_a_number(const char *text)
{
    return (*text >= '0' && *text <= '9') || ((*text == '-' || *text == '+' || *text == '.') && text[1]);
}

static bool read_int(const char *text, int64_t *out, const char **end)
{
    char *stop;
    errno = 0;
    long long n = strtoll(text, &stop, 10);
    *end = stop;
    *out = n;
    return starts_a_number(text) && stop != text && errno == 0;
}

static bool is_within(const struct option_row *row, double n)
{
    return n >= row->min && n <= row->max;
}

static bool read_number(const struct option_row *row, const char *text, double *out)
{
    char *end;
    errno = 0;
    double n = strtod(text, &end) + 0.0;         /* turns -0 into 0 */
    if (text[strcspn(text, "xX")]) return false; /* strtod() also reads hexadecimal numbers */
    if (!starts_a_number(text) || end == text || *end || errno || !isfinite(n) || !is_within(row, n)) return false;
    *out = n;
    return true;
}

bool option_read_bytes(const char *text, int64_t *bytes)
{
    static const char *const units[] = {"", "b", "k", "kib", "m", "mib", "g", "gib", "t", "tib"};
    const char *end;
    int64_t n;
    if (!read_int(text, &n, &end)) return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcasecmp(end, units[i]) != 0) continue;
        unsigned shift = (unsigned)(i / 2) * 10;
        if (n < (INT64_MIN >> shift) || n > (INT64_MAX >> shift)) return false;
        *bytes = n * (INT64_C(1) << shift);
        return true;
    }
    return false;
}

static bool read_choice(const struct option_row *row, const char *text, int *out)
{
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) return *out = i, true;
    return false;
}

static bool read_integer(const struct option_row *row, const char *text, int64_t *out)
{
    const char *end = "";
    int64_t n;
    if (row->type == OPTION_TYPE_PORT && row->min < 0 && strcmp(text, "off") == 0) return *out = -1, true;
    if (!(row->type == OPTION_TYPE_BYTES ? option_read_bytes(text, &n) : read_int(text, &n, &end)) || *end)
        return false;
    if (!is_within(row, (double)n)) return false;
    *out = n;
    return true;
}

static_assert(OPTION_WORDS_MAX == 16, "describe_value() says how many");
static bool read_word(const char *text, struct option_words *out)
{
    if (!*text || out->count == OPTION_WORDS_MAX) return false;
    out->words[out->count++] = text;
    return true;
}

static bool read_value(const struct option_row *row, const char *text, void *at)
{
    switch (row->type) {
    case OPTION_TYPE_BOOL: return read_bool(text, at);
    case OPTION_TYPE_INT:
    case OPTION_TYPE_BYTES:
    case OPTION_TYPE_PORT: return read_integer(row, text, at);
    case OPTION_TYPE_SECONDS: return read_number(row, text, at);
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_STRING: *(const char **)at = text; return *text || row->type == OPTION_TYPE_STRING;
    case OPTION_TYPE_CHOICE: return read_choice(row, text, at);
    case OPTION_TYPE_WORDS: return read_word(text, at);
    case OPTION_TYPE_HEADING:
    case OPTION_TYPE_END: break;
    }
    BUG("option %s has no type", row->name);
}

static void *field(const struct parse *p, const struct option_row *row)
{
    return (char *)p->config + row->offset;
}

/* Writes which values the row accepts, such as "a whole number from 1 to 64". */
static void describe_value(const struct option_row *row, char *text, size_t size)
{
    static const char *const words[] = {
        [OPTION_TYPE_BOOL] = "true or false",
        [OPTION_TYPE_INT] = "a whole number",
        [OPTION_TYPE_BYTES] = "a number of bytes such as 65536 or 64K,",
        [OPTION_TYPE_PORT] = "a port",
        [OPTION_TYPE_SECONDS] = "a number of seconds",
        [OPTION_TYPE_STRING] = "a text",
        [OPTION_TYPE_PATH] = "a path",
        [OPTION_TYPE_CHOICE] = "one of",
        [OPTION_TYPE_WORDS] = "a non-empty text, given at most 16 times",
    };
    size_t len = (size_t)snprintf(text, size, "%s", words[row->type]);
    if (row->type == OPTION_TYPE_PORT)
        snprintf(text + len, size - len, " from 0 to %.15g%s", row->max, row->min < 0 ? ", or off" : "");
    else if (row->min < row->max)
        snprintf(text + len, size - len, " from %.16g to %.16g", row->min, row->max);
    for (size_t i = 0; row->choices && row->choices[i] && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s %s", i ? "," : "", row->choices[i]);
}

static void complain_of_value(struct parse *p, const struct option_row *row, enum option_source source,
                              const char *text)
{
    struct option_env_name env = {""};
    struct buf sentence = {0};
    char want[256];
    if (source == OPTION_FROM_ENV) env = option_env_name(row);
    describe_value(row, want, sizeof want);
    buf_addf(&sentence, "%s%smust be %s, not \"%s\"", env.text, *env.text ? " " : "", want, text);
    complain_of_given(p, row, buf_cstr(&sentence));
    buf_release(&sentence);
}

static void set(struct parse *p, const struct option_row *row, enum option_source source, const char *text)
{
    if (read_value(row, text, field(p, row)))
        p->sources[row - p->spec->rows] = source;
    else if (source == OPTION_FROM_DEFAULT)
        BUG("the default \"%s\" of --%s is not valid", text, row->name);
    else
        complain_of_value(p, row, source, text);
}

static void set_default(struct parse *p, const struct option_row *row)
{
    if (row->type == OPTION_TYPE_HEADING) return;
    if (row->fallback)
        set(p, row, OPTION_FROM_DEFAULT, row->fallback);
    else if (row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_PATH)
        *(const char **)field(p, row) = NULL;
    else if (row->type == OPTION_TYPE_BOOL)
        *(bool *)field(p, row) = false;
    else if (row->type == OPTION_TYPE_CHOICE)
        *(int *)field(p, row) = -1;
    else if (row->type == OPTION_TYPE_WORDS)
        ((struct option_words *)field(p, row))->count = 0;
    else if (row->type == OPTION_TYPE_SECONDS)
        *(double *)field(p, row) = 0;
    else
        *(int64_t *)field(p, row) = 0;
}

static const struct option_row *find_row(const struct option_spec *spec, const char *name, size_t len)
{
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++)
        if (row->type != OPTION_TYPE_HEADING && strlen(row->name) == len && memcmp(row->name, name, len) == 0)
            return row;
    return NULL;
}

static const struct option_row *find_letter(const struct option_spec *spec, char letter)
{
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++)
        if (row->letter == letter) return row;
    return NULL;
}

/* If `name` is an option that every program has, notes the option and returns true. */
static bool read_common(struct parse *p, const char *name)
{
    if (strcmp(name, "help") == 0) return p->help = true;
    if (strcmp(name, "version") == 0) return p->version = true;
    if (strcmp(name, "print-config") == 0) return p->print_config = true;
    return false;
}

static void read_given(struct parse *p, const struct option_row *row, const char *given)
{
    if (!given && p->at + 1 < p->argc) given = p->argv[++p->at];
    if (given && row->once && p->sources[row - p->spec->rows] == OPTION_FROM_FLAG) {
        complain_of_given(p, row, "is given twice; give it once with all values, as --help shows");
    } else if (given) {
        set(p, row, OPTION_FROM_FLAG, given);
    } else {
        complain_of_given(p, row, "needs a value");
    }
}

/* Returns the advice for an option of another program; NULL: there is none. */
static const char *foreign_advice(const struct option_spec *spec, const char *given, size_t len)
{
    for (const struct option_foreign *f = spec->foreign; f; f = f->given ? f + 1 : f->next)
        if (f->given && strlen(f->given) == len && memcmp(f->given, given, len) == 0) return f->advice;
    return NULL;
}

/* If there is advice for an unknown option, complains with it and returns true. `given` is the option with its dashes.
 * `guess`: the table has an option with a similar name. A letter after an operand is often meant for a command. */
static bool advise(struct parse *p, const char *given, size_t len, bool guess)
{
    const char *advice = foreign_advice(p->spec, given, len), *late = p->spec->late_option_advice;
    if (late && p->operands && !guess && (len == 2 || !advice)) advice = late;
    if (!advice) return false;
    option_complain(p->spec, NULL, "%.*s: unknown option; %s", (int)len, given, advice);
    return p->failed = true;
}

/* Complains about an option that the table does not have. The message has the advice for this option. If there is no
 * advice, the message suggests the options whose names are similar. */
static void complain_of_unknown(struct parse *p, const char *name, size_t len)
{
    struct buf meant = {0};
    option_guess(p->spec, name, len, &meant);
    if (!advise(p, name - 2, len + 2, meant.len > 0))
        option_complain(p->spec, NULL, "--%.*s: unknown option; %s%s%ssee %s --help", (int)len, name,
                        meant.len ? "did you mean " : "", buf_cstr(&meant), meant.len ? "? Otherwise " : "",
                        p->spec->program);
    buf_release(&meant);
    p->unknown_at = name[len] ? 0 : p->at;
    p->failed = true;
}

static void read_long(struct parse *p, const char *name)
{
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_row *row = find_row(p->spec, name, len);
    const struct option_row *negated =
        !row && !equals && strncmp(name, "no-", 3) == 0 ? find_row(p->spec, name + 3, len - 3) : NULL;
    if (row && row->type == OPTION_TYPE_BOOL)
        set(p, row, OPTION_FROM_FLAG, equals ? equals + 1 : "true");
    else if (row)
        read_given(p, row, equals ? equals + 1 : NULL);
    else if (negated && negated->type == OPTION_TYPE_BOOL)
        set(p, negated, OPTION_FROM_FLAG, "false");
    else if (equals || !read_common(p, name))
        complain_of_unknown(p, name, len);
}

static void read_letters(struct parse *p, const char *letters)
{
    for (; *letters; letters++) {
        const struct option_row *row = find_letter(p->spec, *letters);
        const char given[] = {'-', *letters};
        p->letter = *letters;
        if (row && row->type == OPTION_TYPE_BOOL) {
            set(p, row, OPTION_FROM_FLAG, "true");
        } else if (row) {
            read_given(p, row, letters[1] ? letters + 1 : NULL);
            break;
        } else if (*letters == 'h') {
            p->help = true;
        } else {
            if (!advise(p, given, sizeof given, false))
                option_complain(p->spec, NULL, "-%c: unknown option; see %s --help", *letters, p->spec->program);
            p->unknown_at = letters[1] ? 0 : p->at;
            p->failed = true;
            break; /* the rest may be the value of an option of another program */
        }
    }
    p->letter = 0;
}

/* Moves the operand at p->at to the end of the operands at the front of argv. The order of the operands and of the
 * options does not change. If the program has no operands, complains instead. */
static void read_operand(struct parse *p)
{
    if (p->spec->operands == OPTION_OPERANDS_NONE) {
        if (p->unknown_at && p->unknown_at == p->at - 1) return; /* the unknown option has been reported */
        const char *advice = p->spec->operand_advice;
        option_complain(p->spec, NULL, "unexpected argument \"%s\"; %s%ssee %s --help", p->argv[p->at],
                        advice ? advice : "", advice ? "; " : "", p->spec->program);
        p->failed = true;
        return;
    }
    char *operand = p->argv[p->at];
    size_t between = (size_t)(p->at - 1 - p->operands);
    memmove(&p->argv[p->operands + 2], &p->argv[p->operands + 1], between * sizeof *p->argv);
    p->argv[++p->operands] = operand;
}

/* Moves the operands from argv[1..operands] to the end of the arguments. The last operand becomes argv[end - 1]. */
static void operands_last(struct parse *p, int end)
{
    for (int i = 0; i < p->operands; i++) {
        char *operand = p->argv[1];
        memmove(&p->argv[1], &p->argv[2], (size_t)(end - 2) * sizeof *p->argv);
        p->argv[end - 1] = operand;
    }
}

/* Reads the options, and moves the operands to the end of the arguments. Returns the index of the first operand. */
static int read_arguments(struct parse *p)
{
    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *arg = p->argv[p->at];
        if (strcmp(arg, "--") == 0) {
            p->at++;
            if (p->at < p->argc && p->spec->operands == OPTION_OPERANDS_NONE) read_operand(p);
            break;
        }
        if (arg[0] == '-' && arg[1] == '-')
            read_long(p, arg + 2);
        else if (arg[0] == '-' && arg[1])
            read_letters(p, arg + 1);
        else if (p->spec->operands == OPTION_OPERANDS_STOP)
            break;
        else
            read_operand(p);
    }
    operands_last(p, p->at < p->argc ? p->at : p->argc);
    return (p->at < p->argc ? p->at : p->argc) - p->operands;
}

static bool is_overridden(const struct parse *p, const struct option_row *row)
{
    for (const struct option_row *by = p->spec->rows; by->type != OPTION_TYPE_END; by++)
        if (by->overrides && strcmp(by->overrides, row->name) == 0 &&
            p->sources[by - p->spec->rows] == OPTION_FROM_FLAG)
            return true;
    return false;
}

static void read_environment(struct parse *p)
{
    for (const struct option_row *row = p->spec->rows; row->type != OPTION_TYPE_END; row++) {
        enum option_source *source = &p->sources[row - p->spec->rows];
        if (row->type == OPTION_TYPE_HEADING) continue;
        bool is_read = !row->no_env && *source != OPTION_FROM_FLAG && !is_overridden(p, row);
        const char *text = is_read ? getenv(option_env_name(row).text) : NULL;
        /* An empty variable counts as unset, because a Kubernetes manifest can empty a variable but not remove it. */
        if (text && *text) set(p, row, OPTION_FROM_ENV, text);
        if (row->required && *source == OPTION_FROM_DEFAULT && !p->failed) {
            option_complain(p->spec, row->name, "must be given");
            p->failed = true;
        }
    }
}

/* Returns whether the option was given. A boolean option counts as given only if its value is true. */
static bool is_given(const struct parse *p, const struct option_row *row)
{
    if (p->sources[row - p->spec->rows] == OPTION_FROM_DEFAULT) return false;
    return row->type != OPTION_TYPE_BOOL || *(const bool *)field(p, row);
}

static void check_needs(struct parse *p)
{
    for (const struct option_row *row = p->spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (!row->needs || !is_given(p, row)) continue;
        const struct option_row *needed = find_row(p->spec, row->needs, strlen(row->needs));
        if (!needed) BUG("--%s needs --%s, which is not an option", row->name, row->needs);
        if (is_given(p, needed)) continue;
        option_complain(p->spec, row->name, "has no effect without --%s", row->needs);
        p->failed = true;
    }
}

bool option_parse(const struct option_spec *spec, void *config, int argc, char **argv, struct option_result *r)
{
    struct parse p = {.spec = spec, .config = config, .argc = argc, .argv = argv};
    size_t rows = 0;
    for (; spec->rows[rows].type != OPTION_TYPE_END; rows++) continue;
    p.sources = xcalloc(rows + 1, sizeof *p.sources);
    for (size_t i = 0; i < rows; i++) set_default(&p, &spec->rows[i]);
    r->first_operand = read_arguments(&p);
    bool done = p.help || p.version;
    if (p.help)
        option_print_help(spec);
    else if (p.version)
        printf("%s %s\n", spec->program, FANTAIL_VERSION);
    else
        read_environment(&p);
    if (!done && !p.failed) check_needs(&p);
    if (p.print_config && !done && !p.failed) {
        option_print_config(spec, config, p.sources);
        done = true;
    }
    free(p.sources);
    r->exit_status = p.failed && !p.help && !p.version ? 2 : 0;
    return !done && !p.failed;
}
