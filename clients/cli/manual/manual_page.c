/* Manual pages, in the macros of man(7), which every man program reads. */
#include <ctype.h>

#include "cli/manual/manual.h"
#include "common/service/option_print.h"

/* Writes the text with escapes, so that the page shows it unchanged. Without escapes, man would replace some
 * characters. */
static void put(FILE *out, const char *text, size_t len)
{
    static const struct {
        char c;
        const char *escape;
    } escapes[] = {{'\\', "\\e"}, {'-', "\\-"}, {'\'', "\\(aq"}, {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
    for (size_t i = 0; i < len; i++) {
        const char *escape = NULL;
        for (size_t e = 0; e < ARRAY_SIZE(escapes); e++)
            if (escapes[e].c == text[i]) escape = escapes[e].escape;
        if (escape)
            fputs(escape, out);
        else
            fputc(text[i], out);
    }
}

static void put_text(FILE *out, const char *text)
{
    put(out, text, strlen(text));
}

/* A line that begins with a dot would be a macro. */
static void put_line(FILE *out, const char *line, size_t len)
{
    if (len && *line == '.') fputs("\\&", out);
    put(out, line, len);
    fputc('\n', out);
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* If the line begins with a heading, writes the heading. Returns how many bytes of the line are the heading. */
static size_t put_heading(FILE *out, const char *line)
{
    static const struct {
        const char *begin, *heading;
    } headings[] = {{"Examples:", "EXAMPLES"}, {"Exit status: ", "EXIT STATUS"}};
    for (size_t i = 0; i < ARRAY_SIZE(headings); i++) {
        if (!begins_with(line, headings[i].begin)) continue;
        fprintf(out, ".SH %s\n", headings[i].heading);
        return strlen(headings[i].begin);
    }
    return 0;
}

/* Writes a text of --help. Lines that begin with a space are not wrapped or joined. An empty line ends a paragraph. */
static void put_paragraphs(FILE *out, const char *text)
{
    bool keeps_form = false, pending = false, is_first = true; /* of a section */
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool indented = *text == ' ';
        if (keeps_form && !indented) fputs(".fi\n", out);
        size_t heading = put_heading(out, text);
        if (pending && len && !heading && !indented) fputs(".PP\n", out);
        if (!keeps_form && indented) fputs(is_first || heading ? ".nf\n" : ".PP\n.nf\n", out);
        pending = len == 0 || (keeps_form && !indented);
        keeps_form = indented;
        if (len > heading) put_line(out, text + heading, len - heading);
        is_first = heading == len && (is_first || heading);
        text += len + (text[len] == '\n');
    }
    if (keeps_form) fputs(".fi\n", out);
}

static void put_title(FILE *out, const char *name, const char *help)
{
    char upper[64];
    snprintf(upper, sizeof upper, "%s", name);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    fprintf(out, ".TH %s 1 \"\" \"fantail " FANTAIL_VERSION "\" \"User Commands\"\n.SH NAME\n", upper);
    put_text(out, name);
    fputs(" \\- ", out);
    put_line(out, help, strlen(help));
}

/* Writes the usage; several forms are separated by "   or   ", and the program's name is missing in the first one. */
static void put_synopsis(FILE *out, const struct option_spec *spec)
{
    static const char separator[] = "   or   ";
    const char *text = spec->usage;
    fputs(".SH SYNOPSIS\n.B ", out);
    put_line(out, spec->program, strlen(spec->program));
    for (const char *end; (end = strstr(text, separator)); text = end + sizeof separator - 1) {
        put_line(out, text, (size_t)(end - text));
        fputs(".br\n", out);
    }
    put_line(out, text, strlen(text));
}

static void put_default(FILE *out, const struct option_row *row)
{
    bool is_bool = row->type == OPTION_TYPE_BOOL;
    if (row->required)
        fputs(" This option is required.", out);
    else if (is_bool && row->fallback && strcmp(row->fallback, "true") == 0)
        fprintf(out, " This is the default; \\fB\\-\\-no\\-%s\\fR turns it off.", row->name);
    else if (!is_bool && row->fallback && *row->fallback) {
        fputs(" Default: ", out);
        put_text(out, row->fallback);
        fputc('.', out);
    }
}

static void put_option(FILE *out, const struct option_row *row)
{
    const char *value = option_value_word(row);
    fputs(".TP\n", out);
    if (row->letter) fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", out);
    put_text(out, row->name);
    fputs("\\fR", out);
    if (value) {
        fputs(" \\fI", out);
        put_text(out, value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    if (*row->help == '.') fputs("\\&", out);
    put_text(out, row->help);
    fputc('.', out);
    for (size_t i = 0; row->choices && row->choices[i]; i++) {
        fputs(i ? ", " : " One of: ", out);
        put_text(out, row->choices[i]);
        if (!row->choices[i + 1]) fputc('.', out);
    }
    put_default(out, row);
    fputc('\n', out);
}

static void put_options(FILE *out, const struct option_spec *spec)
{
    fputs(".SH OPTIONS\n", out);
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (row->hidden) continue;
        if (row->type != OPTION_TYPE_HEADING) {
            put_option(out, row);
            continue;
        }
        fputs(".SS \"", out);
        put_text(out, row->name);
        fputs("\"\n", out);
    }
    fputs(".SS \"Other\"\n.TP\n\\fB\\-\\-help\\fR, \\fB\\-\\-version\\fR\nprint a text and end.\n"
          ".TP\n\\fB\\-\\-print\\-config\\fR\nprint the value of every option and its source, and end.\n",
          out);
}

static void put_environment(FILE *out, const struct option_spec *spec)
{
    bool begun = false;
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (row->type == OPTION_TYPE_HEADING || row->hidden || row->no_env) continue;
        if (!begun) fputs(".SH ENVIRONMENT\nThese variables set options. The command line overrides them.\n", out);
        begun = true;
        fprintf(out, ".TP\n.B %s\n\\-\\-", option_env_name(row).text);
        put_line(out, row->name, strlen(row->name));
    }
}

static void put_epilogue(FILE *out, const char *text)
{
    if (!text) return;
    if (!begins_with(text, "Examples:") && !begins_with(text, "Exit status: ")) fputs(".SH NOTES\n", out);
    put_paragraphs(out, text);
}

static void put_see_also(FILE *out, const struct manual *m, const struct manual_command *except)
{
    fputs(".SH SEE ALSO\n", out);
    if (except) fprintf(out, ".BR fantail (1)%s\n", m->count > 1 ? "," : "");
    for (size_t i = 0, left = m->count - (except != NULL); i < m->count; i++) {
        if (m->commands + i == except) continue;
        left--;
        fprintf(out, ".BR fantail\\-%s (1)%s\n", m->commands[i].name, left ? "," : "");
    }
}

void manual_write_page(FILE *out, const struct manual *m, const struct manual_command *c)
{
    char name[64];
    snprintf(name, sizeof name, "fantail-%s", c->name);
    put_title(out, name, c->help);
    put_synopsis(out, c->spec);
    fputs(".SH DESCRIPTION\n", out);
    put_paragraphs(out, c->spec->about);
    put_options(out, c->spec);
    put_environment(out, c->spec);
    put_epilogue(out, c->spec->epilogue);
    put_see_also(out, m, c);
}

void manual_write_main_page(FILE *out, const struct manual *m)
{
    put_title(out, "fantail", "run a task on many items in parallel");
    put_synopsis(out, m->spec);
    fputs(".SH DESCRIPTION\n", out);
    put_paragraphs(out, m->spec->about);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < m->count; i++) {
        fprintf(out, ".TP\n.BR fantail\\-%s (1)\n", m->commands[i].name);
        put_line(out, m->commands[i].help, strlen(m->commands[i].help));
    }
    put_epilogue(out, m->spec->epilogue);
    put_see_also(out, m, NULL);
}
