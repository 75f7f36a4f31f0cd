#include "common/service/option_print.h"

#include <ctype.h>
#include <inttypes.h>

#include "common/observe/text_fold.h"

#define HELP_INDENT 8

static unsigned help_width; /* set by option_print_help() */

struct option_env_name option_env_name(const struct option_row *row)
{
    struct option_env_name env;
    int len = snprintf(env.text, sizeof env.text, "FANTAIL_%s", row->name);
    if (len < 0 || (size_t)len >= sizeof env.text) BUG("option --%s has too long a name", row->name);
    for (char *c = env.text; *c; c++) *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return env;
}

const char *option_value_word(const struct option_row *row)
{
    static const char *const words[] = {
        [OPTION_TYPE_INT] = "N",       [OPTION_TYPE_BYTES] = "BYTES", [OPTION_TYPE_PORT] = "PORT",
        [OPTION_TYPE_SECONDS] = "S",   [OPTION_TYPE_STRING] = "TEXT", [OPTION_TYPE_PATH] = "PATH",
        [OPTION_TYPE_CHOICE] = "WORD", [OPTION_TYPE_WORDS] = "TEXT",
    };
    return row->value ? row->value : words[row->type];
}

static void print_head(const struct option_row *row)
{
    printf("  ");
    if (row->letter) printf("-%c, ", row->letter);
    printf("--%s", row->name);
    if (row->type != OPTION_TYPE_BOOL) printf(" %s", option_value_word(row));
    putchar('\n');
}

/* Prints the words of `text`, beginning at column `*column`, and breaks lines before help_width. */
static void print_wrapped(const char *text, int *column)
{
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (*column > HELP_INDENT && *column + 1 + len > (int)help_width) {
            printf("\n%*s", HELP_INDENT, "");
            *column = HELP_INDENT;
        } else if (*column > HELP_INDENT) {
            putchar(' ');
            ++*column;
        }
        printf("%.*s", len, text);
        *column += len;
        text += len;
        text += strspn(text, " ");
    }
}

static void print_body(const struct option_row *row)
{
    int column = HELP_INDENT;
    char note[256] = "";
    printf("%*s", HELP_INDENT, "");
    print_wrapped(row->help, &column);
    if (row->choices) {
        print_wrapped("(one of", &column);
        for (size_t i = 0; row->choices[i]; i++) {
            snprintf(note, sizeof note, "%s%s", row->choices[i], row->choices[i + 1] ? "," : ")");
            print_wrapped(note, &column);
        }
    }
    if (row->required)
        print_wrapped("[required]", &column);
    else if (row->fallback && *row->fallback && row->type != OPTION_TYPE_BOOL) {
        snprintf(note, sizeof note, "[%s]", row->fallback);
        print_wrapped(note, &column);
    } else if (row->type == OPTION_TYPE_BOOL && row->fallback && strcmp(row->fallback, "true") == 0) {
        snprintf(note, sizeof note, "[on; --no-%s]", row->name);
        print_wrapped(note, &column);
    }
    putchar('\n');
}

static void print_folded(const char *text)
{
    struct buf folded = {0};
    text_fold_add(&folded, text, help_width);
    fputs(buf_cstr(&folded), stdout);
    buf_release(&folded);
}

/* Prints how options are set in the environment. If only some of the options can be set there, lists their
 * variables. */
static void print_env(const struct option_spec *spec)
{
    unsigned with = 0, without = 0;
    int column = HELP_INDENT;
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (row->type == OPTION_TYPE_HEADING || row->hidden) continue;
        with += !row->no_env;
        without += row->no_env;
    }
    if (!with) return;
    struct buf text = {0};
    buf_addf(&text,
             "%s can also be set in the environment: --an-option is FANTAIL_AN_OPTION. An option on the command "
             "line overrides the environment, which overrides the default in [brackets].",
             without ? "These options" : "Every option");
    putchar('\n');
    print_folded(buf_cstr(&text));
    buf_release(&text);
    if (!without) return;
    printf("%*s", HELP_INDENT, "");
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++)
        if (row->type != OPTION_TYPE_HEADING && !row->hidden && !row->no_env)
            print_wrapped(option_env_name(row).text, &column);
    putchar('\n');
}

void option_print_help(const struct option_spec *spec)
{
    help_width = text_fold_width();
    struct buf head = {0};
    buf_addf(&head, "%s\n\nUsage: %s %s", spec->about, spec->program, spec->usage);
    print_folded(buf_cstr(&head));
    buf_release(&head);
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (row->hidden) continue;
        if (row->type == OPTION_TYPE_HEADING) {
            putchar('\n');
            print_folded(row->name);
            continue;
        }
        print_head(row);
        print_body(row);
    }
    printf("\nOther\n  --help, --version\n  --print-config\n%*s", HELP_INDENT, "");
    int column = HELP_INDENT;
    print_wrapped("print the value of every option and its source, and end", &column);
    putchar('\n');
    print_env(spec);
    if (!spec->epilogue) return;
    putchar('\n');
    print_folded(spec->epilogue);
}

#define NAME_BYTES 32 /* longer names are similar to no other name */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Returns how many letters must be inserted, removed, replaced or swapped with the next one to make b from a. */
static unsigned distance_of(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned d[NAME_BYTES + 1][NAME_BYTES + 1]; /* d[i][j]: for the first i letters of a and the first j letters of b */
    for (unsigned i = 0; i <= a_len; i++) {
        for (unsigned j = 0; j <= b_len; j++) {
            d[i][j] = i + j;
            if (!i || !j) continue;
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

bool option_is_nearer(const char *typed, size_t len, const char *name, unsigned *distance)
{
    enum { SHORT_NAME = 5 };
    size_t name_len = strlen(name);
    if (len > NAME_BYTES || name_len > NAME_BYTES) return false;
    unsigned now = distance_of(typed, len, name, name_len);
    if (now >= *distance || (now > 1 && (len < SHORT_NAME || name_len < SHORT_NAME))) return false;
    *distance = now;
    return true;
}

/* Returns whether `typed` is the beginning of `name`, or whether the two differ only in their last letters, as retry
 * and retries do. */
static bool is_form_of(const char *typed, size_t len, const char *name)
{
    enum { BEGINNING = 3, STEM = 4, ENDING = 3 };
    size_t same = 0;
    while (same < len && name[same] == typed[same]) same++;
    if (same == len) return len >= BEGINNING;
    return same >= STEM && len - same <= ENDING && strlen(name) - same <= ENDING;
}

static bool is_shown(const struct option_row *row)
{
    return row->type != OPTION_TYPE_HEADING && !row->hidden;
}

/* Returns the option whose name is the most similar to `typed`; NULL: none is similar. */
static const struct option_row *find_nearest(const struct option_spec *spec, const char *typed, size_t len,
                                             unsigned *distance)
{
    const struct option_row *nearest = NULL;
    *distance = OPTION_DISTANCE_FAR;
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++)
        if (is_shown(row) && option_is_nearer(typed, len, row->name, distance)) nearest = row;
    return nearest;
}

/* A name with two wrong letters is worth less than one that begins with what was typed: --delim means --delimiter, not
 * --delay. */
void option_guess(const struct option_spec *spec, const char *typed, size_t len, struct buf *out)
{
    enum { MOST = 3 };
    const struct option_row *rows[MOST + 1];
    size_t count = 0;
    unsigned distance;
    const struct option_row *nearest = find_nearest(spec, typed, len, &distance);
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END && count <= MOST; row++)
        if ((row == nearest && distance <= 1) || (is_shown(row) && is_form_of(typed, len, row->name)))
            rows[count++] = row;
    if (nearest && (count == 0 || (count > MOST && distance <= 1))) rows[0] = nearest, count = 1;
    for (size_t i = 0; count <= MOST && i < count; i++)
        buf_addf(out, "%s--%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", rows[i]->name);
}

static void print_words(const struct option_words *w)
{
    for (unsigned i = 0; i < w->count; i++) printf("%s\"%s\"", i ? " " : "", w->words[i]);
}

static void print_value(const struct option_row *row, const void *config)
{
    const char *at = (const char *)config + row->offset;
    const char *text;
    switch (row->type) {
    case OPTION_TYPE_BOOL: printf("%s", *(const bool *)(const void *)at ? "true" : "false"); break;
    case OPTION_TYPE_INT:
    case OPTION_TYPE_BYTES: printf("%" PRId64, *(const int64_t *)(const void *)at); break;
    case OPTION_TYPE_PORT:
        if (*(const int64_t *)(const void *)at < 0)
            printf("off");
        else
            printf("%" PRId64, *(const int64_t *)(const void *)at);
        break;
    case OPTION_TYPE_SECONDS: printf("%.15g", *(const double *)(const void *)at); break;
    case OPTION_TYPE_STRING:
    case OPTION_TYPE_PATH:
        text = *(const char *const *)(const void *)at;
        if (text) printf("\"%s\"", text);
        break;
    case OPTION_TYPE_CHOICE: {
        int choice = *(const int *)(const void *)at;
        if (choice >= 0) printf("%s", row->choices[choice]);
        break;
    }
    case OPTION_TYPE_WORDS: print_words((const struct option_words *)(const void *)at); break;
    case OPTION_TYPE_HEADING:
    case OPTION_TYPE_END: break;
    }
}

void option_print_config(const struct option_spec *spec, const void *config, const enum option_source *sources)
{
    for (size_t i = 0; spec->rows[i].type != OPTION_TYPE_END; i++) {
        const struct option_row *row = &spec->rows[i];
        if (row->type == OPTION_TYPE_HEADING) continue;
        printf("%s = ", row->name);
        print_value(row, config);
        switch (sources[i]) {
        case OPTION_FROM_DEFAULT: printf("  # default\n"); break;
        case OPTION_FROM_ENV: printf("  # %s\n", option_env_name(row).text); break;
        case OPTION_FROM_FLAG: printf("  # --%s\n", row->name); break;
        }
    }
}
