#include "cli/options/command_check.h"

#include <ctype.h>
#include <strings.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/program.h"
#include "common/json/encoding.h"

/* Checks that the words are UTF-8. The command is written to a task.json, and bytes that are not UTF-8
 * would be changed there. */
static int check_words(const struct option_spec *spec, char *const *command)
{
    for (unsigned i = 0; command[i]; i++) {
        size_t at = encoding_text_length(command[i], strlen(command[i]));
        if (command[i][at])
            return option_complain(
                spec, NULL,
                "word %u of the command is not valid UTF-8 (byte %zu of the word); put the command into a script",
                i + 1, at);
    }
    return EXIT_OK;
}

/* Returns a hint for a user who seems to have given a whole command line as one argument; "" if `name` does not look
 * like a command line. */
static const char *hint_of_one_word(const char *name)
{
    if (strpbrk(name, "<>|&;$*`"))
        return ". This is one argument. For shell syntax write `fantail map -- sh -c 'wc -l < \"$1\"' sh`";
    return strchr(name, ' ') ? ". This is one argument with spaces. Write the words as separate arguments, without "
                               "quotes: `fantail map -- wc -l`"
                             : "";
}

/* Checks that the program can be started. Without this check, every item would fail with the same error if the program
 * could not be started. */
static int check_program(const struct option_spec *spec, const char *name)
{
    const char *why;
    if (program_can_run(name, &why)) return EXIT_OK;
    char *cwd = get_current_dir_name();
    int status = option_complain(spec, NULL, "cannot run the command %s in the folder %s: %s%s", name,
                                 cwd ? cwd : "(unknown)", why, hint_of_one_word(name));
    free(cwd);
    return status;
}

int command_check(const struct option_spec *spec, char *const *command, const char *shell, bool raw)
{
    int status = raw ? EXIT_OK : check_words(spec, command);
    return status ? status : check_program(spec, shell ? shell : command[0]);
}

int command_check_task(const struct option_spec *spec, const char *task)
{
    static const char shell_signs[] = "<>|&;$*`\"'\\";
    if (!strpbrk(task, " {}/") && !strpbrk(task, shell_signs)) return EXIT_OK;
    bool quotable = !strchr(task, '\'');
    if (strpbrk(task, shell_signs))
        return option_complain(spec, NULL,
                               "%s is not the name of a task. To run it as shell code: `fantail map --shell "
                               "-- %s%s%s`",
                               task, quotable ? "'" : "", quotable ? task : "COMMAND", quotable ? "'" : "");
    return option_complain(spec, NULL, "%s is not the name of a task. To run a command: `fantail map -- %s`", task,
                           task);
}

static bool has_placeholder(const char *text, const char *replace, size_t lists)
{
    static const char *const others[] = {"{.}", "{/}", "{//}", "{/.}"};
    if (strstr(text, replace ? replace : "{}")) return true;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strstr(text, others[i])) return true;
    while ((text = strchr(text, '{'))) {
        char *end;
        unsigned long column = strtoul(++text, &end, 10);
        if (column && column <= (lists ? lists : 1) && end[strspn(end, "./")] == '}') return true;
    }
    return false;
}

static bool puts_items_into_code(char *const *command, const char *replace, size_t lists)
{
    static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh"};
    const char *slash = strrchr(command[0], '/'), *name = slash ? slash + 1 : command[0];
    bool shell = false;
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) shell = shell || strcmp(name, shells[i]) == 0;
    return shell && command[1] && strcmp(command[1], "-c") == 0 && command[2] &&
           has_placeholder(command[2], replace, lists);
}

void command_warn_of_code(char *const *command, const char *replace, size_t lists)
{
    if (puts_items_into_code(command, replace, lists))
        complain("warning: a placeholder such as {} is in the code for %s, so an item with quotes or $(...) runs as "
                 "code. Safer: "
                 "%s -c '... \"$1\" ...' %s {}",
                 command[0], command[0], command[0]);
}

/* Returns the length of a name that is followed by the end of a placeholder such as } or /.}; 0: the text does not
 * begin in this way. */
static size_t name_length(const char *text)
{
    size_t len = strcspn(text, "{}");
    if (text[len] != '}' || !(isalpha((unsigned char)*text) || (unsigned char)*text >= 0x80)) return 0;
    while (len > 0 && (text[len - 1] == '.' || text[len - 1] == '/')) len--;
    return len;
}

/* Returns whether awk programs often have this word in braces. */
static bool is_of_awk(const char *word, size_t len)
{
    static const char *const words[] = {"print", "next", "nextfile", "exit", "getline", "return", "break", "continue"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0) return true;
    return false;
}

/* Returns whether a user who typed `typed` may have meant the column, and is less likely to have meant an earlier one.
 */
static bool is_likelier(const char *typed, size_t len, struct json_slice column, unsigned *distance)
{
    enum { LEAST_LETTERS = 3 }; /* shorter names are all similar to each other */
    if (column.len == len && strncasecmp(column.data, typed, len) == 0 && *distance > 0) return *distance = 0, true;
    char *name = xstrndup(column.data, column.len);
    bool near = len >= LEAST_LETTERS && option_is_nearer(typed, len, name, distance);
    free(name);
    return near;
}

/* Returns the name of the column that the user probably meant. If `typed` is the name of a column, or similar to none,
 * the returned name is empty. */
static struct json_slice find_meant(const struct header_names *h, const char *typed, size_t len)
{
    struct json_slice meant = {0};
    unsigned distance = OPTION_DISTANCE_FAR;
    for (size_t i = 0; i < h->names.count; i++) {
        struct json_slice column = record_value(&h->names, i);
        if (column.len == len && memcmp(column.data, typed, len) == 0) return (struct json_slice){0};
        if (is_likelier(typed, len, column, &distance)) meant = column;
    }
    return meant;
}

/* Checks the placeholders of one word. Complains about the first one that is similar to the name of a column. A { after
 * a $ belongs to a variable of the shell, so it is not a placeholder. */
static int check_columns_of(const struct option_spec *spec, const char *word, const struct header_names *names,
                            bool warns)
{
    for (const char *at = word; (at = strchr(at, '{')); at++) {
        size_t len = at > word && at[-1] == '$' ? 0 : name_length(at + 1);
        struct json_slice meant = {0};
        if (len && !is_of_awk(at + 1, len)) meant = find_meant(names, at + 1, len);
        if (!meant.len) continue;
        option_complain(spec, "header", "%s{%.*s} names no column; did you mean {%.*s}?", warns ? "warning: " : "",
                        (int)len, at + 1, (int)meant.len, meant.data);
        return warns ? EXIT_OK : EXIT_USAGE;
    }
    return EXIT_OK;
}

int command_check_columns(const struct option_spec *spec, char *const *command, const char *tag,
                          const struct header_names *names, bool warns)
{
    int status = tag ? check_columns_of(spec, tag, names, warns) : EXIT_OK;
    for (size_t i = 0; command[i] && status == EXIT_OK; i++) status = check_columns_of(spec, command[i], names, warns);
    return status;
}
