#include "cli/options/record_options.h"

#include "cli/base/exit_status.h"

bool record_options_given(const struct record_options *o)
{
    return o->colsep || o->csv || (o->header && strcmp(o->header, "0") != 0);
}

/* Returns whether the values are text, whatever the items are without these options. */
static bool makes_text(const struct record_options *o)
{
    return o->colsep || o->csv;
}

/* GNU parallel takes any text here, and reads one line all the same. */
static bool is_header(const char *text)
{
    static const char *const known[] = {":", ".*\\n", "1", "0"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(text, known[i]) == 0) return true;
    return false;
}

int record_options_check(const struct record_options *o, const struct option_spec *spec, const struct record_context *c)
{
    const char *columns = o->csv ? "csv" : o->colsep ? "colsep" : "header";
    if (!record_options_given(o)) return EXIT_OK;
    if (o->colsep && !*o->colsep) return option_complain(spec, "colsep", "must not be empty");
    if (o->header && !is_header(o->header))
        return option_complain(spec, "header",
                               "must be :, which stands for the first line. --colsep says what separates its columns");
    if (o->csv && c->nulls) return option_complain(spec, "csv", "cannot be given together with --null");
    if (makes_text(o) && c->json)
        return option_complain(spec, columns, "makes values of text, so it cannot be given together with --json");
    if (c->to_stdin && !(o->header && !makes_text(o)))
        return option_complain(spec, "stdin", "is for one value, but with --%s an item has several", columns);
    return EXIT_OK;
}

void record_options_plan(const struct record_options *o, const struct record_context *c, struct record_plan *p)
{
    bool is_text = makes_text(o) || c->text || c->nulls;
    bool header = o->header && strcmp(o->header, "0") != 0;
    *p = (struct record_plan){
        .separator = o->colsep,
        .trims = o->colsep && !o->csv,
        .csv = o->csv,
        .nulls = c->nulls,
        .header = header,
        .rows = c->command,
        .values = c->raw    ? ITEM_VALUES_RAW
                  : is_text ? ITEM_VALUES_TEXT
                            : ITEM_VALUES_JSON,
    };
    if (header && is_text && !p->separator && !p->csv) p->separator = "\t";
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

void record_words_release(struct record_words *w)
{
    for (char **word = w->words; word && *word; word++) free(*word);
    free(w->words);
    free(w->tag);
    *w = (struct record_words){0};
}
