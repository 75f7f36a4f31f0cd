#include "cli/parallel/translation.h"

#include <stdarg.h>

#include "cli/parallel/place_words.h"
#include "common/base/buf.h"

enum { ARGUMENTS_STEP = 32, RECORD_LINES_MAX = 1000000000 };

static void add(struct translation *t, char *word)
{
    if (t->argc % ARGUMENTS_STEP == 0) {
        size_t room = (size_t)t->argc + ARGUMENTS_STEP + 1;
        t->argv = xrealloc(t->argv, room * sizeof *t->argv);
        t->owned = xrealloc(t->owned, room * sizeof *t->owned);
    }
    t->owned[t->argc] = word;
    t->argv[t->argc++] = word;
    t->argv[t->argc] = NULL;
}

static void add_word(struct translation *t, const char *word)
{
    add(t, xstrdup(word));
}

/* Adds --NAME=VALUE. Adds nothing if the value is NULL. */
static void add_option(struct translation *t, const char *name, const char *value)
{
    char *word;
    if (!value) return;
    if (asprintf(&word, "--%s=%s", name, value) < 0) BUG("out of memory for an argument");
    add(t, word);
}

static void add_switch(struct translation *t, const char *name, bool given)
{
    if (given) add_option(t, name, "true");
}

static bool refuse(struct translation *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool refuse(struct translation *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    return false;
}

static bool is_zero(const char *number)
{
    return number && *number && number[strspn(number, "0")] == '\0';
}

static bool is_piped(const struct parallel_options *o)
{
    return o->pipe || o->pipe_part;
}

/* As in GNU parallel, -N and -L imply -X, and -n does not. With blocks, -N and -n give the number of records of a
 * block, and the other options have no effect. */
static void add_groups(struct translation *t, const struct parallel_options *o)
{
    const char *words = o->max_replace_args ? o->max_replace_args : is_piped(o) ? o->max_args : o->max_lines;
    bool many = o->many || o->fills;
    if (is_zero(words) || is_zero(o->max_args)) {
        t->manner.ignores_items = true;
        return;
    }
    add_option(t, "max-replace-args", words);
    if (is_piped(o)) return;
    add_option(t, "max-args", words ? NULL : o->max_args);
    add_option(t, "max-chars", many || o->many_words || words || o->max_args ? o->max_chars : NULL);
    add_switch(t, "many", many);
    add_switch(t, "many-words", !many && o->many_words);
    t->manner.fills = o->fills;
}

static void add_blocks(struct translation *t, const struct parallel_options *o)
{
    add_switch(t, "pipe", o->pipe && !o->pipe_part);
    add_switch(t, "pipepart", o->pipe_part);
    add_option(t, "block", o->block);
    add_option(t, "recstart", o->recstart);
    add_option(t, "recend", o->recend);
}

static void add_input(struct translation *t, const struct parallel_options *o)
{
    for (unsigned i = 0; i < o->arg_files.count; i++) add_option(t, "arg-file", o->arg_files.words[i]);
    add_switch(t, "null", o->null);
    add_option(t, "delimiter", o->null ? NULL : o->delimiter);
    add_option(t, "eof", o->end);
    add_switch(t, "no-run-if-empty", o->skip_blank);
    add_switch(t, "link", o->link);
    add_switch(t, "shuf", o->shuf);
    add_option(t, "trim", o->trim);
    add_option(t, "colsep", o->colsep);
    add_switch(t, "csv", o->csv);
    add_option(t, "header", o->header);
    add_groups(t, o);
    add_blocks(t, o);
}

/* With -k, --line-buffer is left out: the outputs are printed in the order of the values, so nearly all lines would
 * have to wait anyway. */
static void add_output(struct translation *t, const struct parallel_options *o, const char *tagstring)
{
    bool keeps_order = o->keep_order && !o->no_keep_order;
    add_word(t, "--raw");
    add_word(t, "--quiet");
    add_option(t, "order", keeps_order ? "input" : "completion");
    add_switch(t, "line-buffer", (o->line_buffer || o->ungroup) && !keeps_order && !o->results);
    add_switch(t, "tag", o->tag && !tagstring);
    add_option(t, "tagstring", tagstring);
    add_switch(t, "dry-run", o->dry_run || o->quotes_lines);
    add_option(t, "results", o->results);
    add_option(t, "joblog", o->joblog);
    add_switch(t, "resume", o->resume);
    add_switch(t, "resume-failed", o->resume_failed);
    add_option(t, "progress", o->bar || o->eta || o->progress ? "always" : NULL);
    t->manner.hides_output = o->results != NULL; /* as GNU parallel does */
    t->manner.prints_commands = o->prints_commands && !o->dry_run;
    t->manner.reports_commands = o->reports_commands && !o->dry_run;
    t->manner.quotes_lines = o->quotes_lines;
}

static void add_control(struct translation *t, const struct parallel_options *o)
{
    add_option(t, "jobs", o->jobs);
    add_option(t, "timeout", o->timeout);
    add_option(t, "retries", o->retries);
    add_option(t, "halt", o->halt);
    add_option(t, "delay", o->delay);
    add_option(t, "load", o->load);
    add_option(t, "memfree", o->memfree);
    add_option(t, "nice", o->nice);
    t->manner.folder = o->work_folder;
    t->manner.slot_name = o->slot_name;
}

/* If the word begins a list of values, returns its standard form: ":::", ":::+", "::::" or "::::+". Otherwise returns
 * NULL. */
static const char *separator_of(const struct parallel_options *o, const char *word)
{
    const struct {
        const char *given, *plain, *linked;
    } separators[] = {
        {o->arg_sep ? o->arg_sep : ":::", ":::", ":::+"},
        {o->arg_file_sep ? o->arg_file_sep : "::::", "::::", "::::+"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(separators); i++) {
        size_t len = strlen(separators[i].given);
        if (strncmp(word, separators[i].given, len) != 0) continue;
        if (word[len] == '\0') return separators[i].plain;
        if (strcmp(word + len, "+") == 0) return separators[i].linked;
    }
    return NULL;
}

static const char *replaced(const char *given, const char *standard)
{
    return given ? given : standard;
}

static struct place_words places_of(const struct parallel_options *o)
{
    return (struct place_words){
        .value = replaced(o->replace, "{}"),
        .forms = {{replaced(o->no_extension, "{.}"), "{.}"},
                  {replaced(o->name_no_extension, "{/.}"), "{/.}"},
                  {replaced(o->folder_name, "{//}"), "{//}"},
                  {replaced(o->name, "{/}"), "{/}"},
                  {replaced(o->number, "{#}"), "{#}"},
                  {replaced(o->slot, "{%}"), "{%}"}},
        .named = o->header != NULL,
        .plus = o->plus,
    };
}

/* Adds the words as one piece of shell code. */
static void add_code(struct translation *t, char *const *words, size_t count, const struct place_words *places)
{
    struct buf code = {0};
    for (size_t i = 0; i < count; i++) {
        char *word = place_words_standard(places, words[i]);
        if (i > 0) buf_add_char(&code, ' ');
        buf_add_str(&code, word);
        free(word);
    }
    if (count == 0) buf_add_str(&code, places->value);
    t->manner.is_code = place_words_begin_code(places, buf_cstr(&code));
    add_word(t, buf_cstr(&code));
    buf_release(&code);
}

static void add_command(struct translation *t, const struct parallel_options *o, char *const *words, size_t count,
                        const struct place_words *places)
{
    add_option(t, "replace", o->replace);
    add_switch(t, "plus", o->plus);
    add_word(t, "--shell");
    add_word(t, "--");
    t->manner.quotes_words = o->quote;
    for (size_t i = 0; o->quote && i < count; i++) add(t, place_words_standard(places, words[i]));
    if (!o->quote) add_code(t, words, count, places);
}

/* Checks that the text has no placeholder of GNU parallel that fantail lacks. */
static bool check_places(struct translation *t, bool plus, const char *text)
{
    static const char *const others[] = {"choose_k}", "uniq}",      "{0#}",   "{0%}",  "{slot}",
                                         "{host}",    "{sshlogin}", "{hgrp}", "{agrp}"};
    for (size_t i = 0; plus && i < ARRAY_SIZE(others); i++)
        if (strstr(text, others[i])) return refuse(t, "--plus: the placeholder %s is not supported", others[i]);
    if (!strstr(text, "{=")) return true;
    return refuse(
        t, "{= =}: fantail runs no Perl. Edit or test the value in the command, for example with sed or ${name%%.*}");
}

/* If the input is cut into blocks, checks that there is a command, and reads the number of -L. */
static bool check_blocks(struct translation *t, const struct parallel_options *o, size_t words)
{
    char *end = NULL;
    if (!is_piped(o)) return true;
    if (words == 0) return refuse(t, "--pipe: needs a command");
    if (!o->max_lines) return true;
    unsigned long lines = strtoul(o->max_lines, &end, 10);
    bool good = *o->max_lines >= '0' && *o->max_lines <= '9' && *end == '\0' && lines > 0 && lines <= RECORD_LINES_MAX;
    if (!good) return refuse(t, "-L: must be a whole number from 1 to %d, not \"%s\"", RECORD_LINES_MAX, o->max_lines);
    t->manner.record_lines = (unsigned)lines;
    return true;
}

static bool check_slot_name(struct translation *t, const struct parallel_options *o)
{
    if (!o->slot_name || (*o->slot_name && !strchr(o->slot_name, '='))) return true;
    return refuse(t, "--process-slot-var: must be the name of a variable");
}

/* Checks that --sshlogin names this machine only. */
static bool check_host(struct translation *t, const struct parallel_options *o)
{
    if (!o->host || strcmp(o->host, ":") == 0) return true;
    return refuse(t, "-S: may only be :, because a command runs on this machine only. Tasks run on other machines: "
                     "`fantail map TASK --url URL`");
}

bool translation_make(struct translation *t, const struct parallel_options *o, char *const *operands)
{
    struct place_words places = places_of(o);
    size_t words = 0;
    *t = (struct translation){.manner = {.program = parallel_option_spec.program, .is_parallel = true}};
    while (operands[words] && !separator_of(o, operands[words])) words++;
    for (size_t i = 0; i < words; i++)
        if (!check_places(t, o->plus, operands[i])) return false;
    if (o->tagstring && !check_places(t, o->plus, o->tagstring)) return false;
    if (!check_blocks(t, o, words) || !check_slot_name(t, o) || !check_host(t, o)) return false;
    if (o->quote && words == 0) return refuse(t, "--quote: needs a command");
    char *tagstring = o->tagstring ? place_words_standard(&places, o->tagstring) : NULL;
    add_word(t, "parallel");
    add_input(t, o);
    add_output(t, o, tagstring);
    free(tagstring);
    add_control(t, o);
    add_command(t, o, operands, words, &places);
    for (char *const *at = operands + words; *at; at++) {
        const char *separator = separator_of(o, *at);
        add_word(t, separator ? separator : *at);
    }
    return true;
}

void translation_release(struct translation *t)
{
    for (int i = 0; i < t->argc; i++) free(t->owned[i]);
    free(t->owned);
    free(t->argv);
    *t = (struct translation){0};
}
