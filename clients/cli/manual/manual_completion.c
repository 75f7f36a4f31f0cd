/* The completions for bash, zsh and fish. */
#include "cli/manual/manual.h"
#include "common/service/option_print.h"

const char *const manual_shells[] = {"bash", "zsh", "fish", NULL};

enum { HELP_CHARACTERS = 70 };

/* Calls `write` for each option that a user can type. */
static void for_options(FILE *out, const struct manual_command *c,
                        void (*write)(FILE *out, const struct manual_command *c, const struct option_row *row))
{
    for (const struct option_row *row = c->spec->rows; row->type != OPTION_TYPE_END; row++)
        if (row->type != OPTION_TYPE_HEADING && !row->hidden) write(out, c, row);
}

static bool takes_path(const struct option_row *row)
{
    return row->type == OPTION_TYPE_PATH ||
           (row->value && (strcmp(row->value, "FILE") == 0 || strcmp(row->value, "DIR") == 0));
}

/* Returns how many bytes of the help are shown beside the option: its first part, or only the beginning of this part if
 * it is long. */
static size_t help_length(const char *help)
{
    const char *sentence = strstr(help, ". ");
    size_t len = strcspn(help, ";");
    if (sentence && (size_t)(sentence - help) < len) len = (size_t)(sentence - help);
    if (len > HELP_CHARACTERS)
        for (len = HELP_CHARACTERS; len > 0 && help[len] != ' ';) len--;
    while (len > 0 && help[len - 1] == ' ') len--;
    return len;
}

/* Writes the text so that it can stand within single quotes. Each character of `special` gets a backslash. */
static void put_quoted(FILE *out, const char *text, size_t len, const char *special)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr(special, text[i])) fputc('\\', out);
        if (text[i] == '\'')
            fputs("'\\''", out);
        else
            fputc(text[i], out);
    }
}

static void put_choices(FILE *out, const struct option_row *row)
{
    for (size_t i = 0; row->choices[i]; i++) fprintf(out, "%s%s", i ? " " : "", row->choices[i]);
}

static void put_commands(FILE *out, const struct manual *m)
{
    for (size_t i = 0; i < m->count; i++) fprintf(out, "%s ", m->commands[i].name);
    fputs("help", out);
}

/* ---- bash ---- */

static void put_bash_name(FILE *out, const struct manual_command *c, const struct option_row *row)
{
    if (row->letter) fprintf(out, " -%c", row->letter);
    fprintf(out, " --%s", row->name);
}

static void put_bash_value(FILE *out, const struct manual_command *c, const struct option_row *row)
{
    if (!option_value_word(row)) return;
    fputs("    ", out);
    if (row->letter) fprintf(out, "%s,-%c | ", c->name, row->letter);
    fprintf(out, "%s,--%s) ", c->name, row->name);
    if (row->choices) {
        fputs("COMPREPLY=($(compgen -W '", out);
        put_choices(out, row);
        fputs("' -- \"$cur\")); ", out);
    } else if (takes_path(row)) {
        fputs("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); ", out);
    }
    fputs("return ;;\n", out);
}

static void write_bash(FILE *out, const struct manual *m)
{
    fputs("# Completion of fantail for bash. `fantail completion bash` writes this file.\n"
          "_fantail()\n"
          "{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} i\n"
          "    local options=\n"
          "    COMPREPLY=()\n"
          "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    if ((COMP_CWORD == 1)) || [[ $command == help ]]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    put_commands(out, m);
    fputs("' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "        if [[ ${COMP_WORDS[i]} == -- || ${COMP_WORDS[i]} == ::: ]]; then\n"
          "            compopt -o filenames\n"
          "            if [[ $prev == -- ]]; then COMPREPLY=($(compgen -c -- \"$cur\"));"
          " else COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
          "            return\n"
          "        fi\n"
          "    done\n"
          "    case $command,$prev in\n",
          out);
    for (size_t i = 0; i < m->count; i++) for_options(out, m->commands + i, put_bash_value);
    fputs("    esac\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; i < m->count; i++) {
        fprintf(out, "    %s) options='", m->commands[i].name);
        for_options(out, m->commands + i, put_bash_name);
        fputs(" --help' ;;\n", out);
    }
    fputs("    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
          "    elif [[ $command == map ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$(command ls tasks 2> /dev/null) -- :::\" -- \"$cur\"))\n"
          "    elif [[ $command == completion ]]; then\n"
          "        COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\"))\n"
          "    else\n"
          "        compopt -o filenames\n"
          "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _fantail fantail\n",
          out);
}

/* ---- zsh ---- */

static void put_zsh_option(FILE *out, const struct manual_command *c, const struct option_row *row)
{
    const char *value = option_value_word(row);
    fputs(" \\\n            ", out);
    if (row->type == OPTION_TYPE_WORDS) fputs("'*'", out);
    if (row->letter)
        fprintf(out, "{-%c,--%s}'", row->letter, row->name);
    else
        fprintf(out, "'--%s", row->name);
    fputc('[', out);
    put_quoted(out, row->help, help_length(row->help), "[]:\\");
    fputc(']', out);
    if (value) {
        fputc(':', out);
        put_quoted(out, value, strlen(value), ":\\");
        fputc(':', out);
        if (row->choices) {
            fputc('(', out);
            put_choices(out, row);
            fputc(')', out);
        } else if (takes_path(row)) {
            fputs("_files", out);
        }
    }
    fputc('\'', out);
}

static void write_zsh(FILE *out, const struct manual *m)
{
    fputs("#compdef fantail\n"
          "# Completion of fantail for zsh. `fantail completion zsh` writes this file.\n"
          "_fantail()\n"
          "{\n"
          "    local curcontext=$curcontext\n"
          "    local -a commands=(\n",
          out);
    for (size_t i = 0; i < m->count; i++) {
        fprintf(out, "        '%s:", m->commands[i].name);
        put_quoted(out, m->commands[i].help, strlen(m->commands[i].help), ":\\");
        fputs("'\n", out);
    }
    fputs("        'help:show the help of a command'\n"
          "    )\n"
          "    if ((CURRENT == 2)) || [[ $words[2] == help ]]; then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    words=(\"fantail-$command\" \"${(@)words[3,-1]}\")\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; i < m->count; i++) {
        const char *name = m->commands[i].name;
        const char *operands = strcmp(name, "completion") == 0 ? "1:shell:(bash zsh fish)"
                               : strcmp(name, "map") == 0      ? "*:item or command:{ _files; _command_names -e }"
                                                               : "*:file:_files";
        fprintf(out, "    %s)\n        _arguments", name);
        for_options(out, m->commands + i, put_zsh_option);
        fprintf(out, " \\\n            '--help[show the help]' \\\n            '%s'\n        ;;\n", operands);
    }
    fputs("    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _fantail ]]; then _fantail \"$@\"; else compdef _fantail fantail; fi\n",
          out);
}

/* ---- fish ---- */

static void put_fish_option(FILE *out, const struct manual_command *c, const struct option_row *row)
{
    fprintf(out, "complete -c fantail -n '__fish_seen_subcommand_from %s' -l %s", c->name, row->name);
    if (row->letter) fprintf(out, " -s %c", row->letter);
    if (row->choices) {
        fputs(" -x -a '", out);
        put_choices(out, row);
        fputc('\'', out);
    } else if (option_value_word(row)) {
        fputs(takes_path(row) ? " -r -F" : " -x", out);
    }
    fputs(" -d '", out);
    for (size_t i = 0, len = help_length(row->help); i < len; i++) {
        if (row->help[i] == '\'' || row->help[i] == '\\') fputc('\\', out);
        fputc(row->help[i], out);
    }
    fputs("'\n", out);
}

static void write_fish(FILE *out, const struct manual *m)
{
    fputs("# Completion of fantail for fish. `fantail completion fish` writes this file.\n", out);
    for (size_t i = 0; i < m->count; i++) {
        fprintf(out, "complete -c fantail -n __fish_use_subcommand -f -a %s -d '", m->commands[i].name);
        for (const char *at = m->commands[i].help; *at; at++) {
            if (*at == '\'' || *at == '\\') fputc('\\', out);
            fputc(*at, out);
        }
        fputs("'\n", out);
    }
    fputs("complete -c fantail -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n", out);
    for (size_t i = 0; i < m->count; i++) for_options(out, m->commands + i, put_fish_option);
}

typedef void write_completion(FILE *out, const struct manual *m);

bool manual_write_completion(FILE *out, const struct manual *m, const char *shell)
{
    static write_completion *const writers[] = {write_bash, write_zsh, write_fish};
    static_assert(ARRAY_SIZE(writers) + 1 == ARRAY_SIZE(manual_shells), "a writer for each shell");
    for (size_t i = 0; manual_shells[i]; i++) {
        if (strcmp(shell, manual_shells[i]) != 0) continue;
        writers[i](out, m);
        return true;
    }
    return false;
}
