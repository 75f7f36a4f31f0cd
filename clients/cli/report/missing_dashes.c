#include "cli/report/missing_dashes.h"

#include <unistd.h>

#include "cli/base/program.h"
#include "protocol/shell_quote.h"

enum { LINE_BYTES = 300 }; /* no word is added to a longer line */

static bool begins_list(const char *word)
{
    return strncmp(word, ":::", 3) == 0;
}

static void add_word(struct buf *line, const char *word)
{
    static const char rest[] = " ...";
    size_t end = sizeof rest - 1;
    if (line->len > LINE_BYTES) {
        if (memcmp(line->data + line->len - end, rest, end) != 0) buf_add_str(line, rest);
        return;
    }
    buf_add_char(line, ' ');
    if (begins_list(word))
        buf_add_str(line, word);
    else
        shell_quote_add(line, word, strlen(word));
}

/* Returns how many of the words are one long option of `spec` and its value; 0: the first word is not one. */
static size_t option_words_of(char *const *words, const struct option_spec *spec)
{
    if (strncmp(words[0], "--", 2) != 0) return 0;
    const char *name = words[0] + 2;
    size_t len = strcspn(name, "=");
    for (const struct option_row *row = spec->rows; row->type != OPTION_TYPE_END; row++) {
        if (row->type == OPTION_TYPE_HEADING || strlen(row->name) != len || memcmp(row->name, name, len) != 0) continue;
        return row->type != OPTION_TYPE_BOOL && !name[len] && words[1] ? 2 : 1;
    }
    return 0;
}

/* With `options`, adds only those words that are options of fantail. Otherwise adds only the other words, and puts :::
 * before the word at `list`. */
static void add_words(struct buf *line, char *const *words, const struct option_spec *spec, bool options,
                      char *const *list)
{
    bool in_list = false;
    for (size_t n; *words; words += n) {
        in_list = in_list || begins_list(*words);
        size_t own = in_list ? 0 : option_words_of(words, spec);
        n = own ? own : 1;
        if (words == list && !options) add_word(line, ":::");
        for (size_t i = 0; i < n && (own > 0) == options; i++) add_word(line, words[i]);
    }
}

/* Returns the first of the files at the end of the words; NULL if the last word is not a file, or if there is a list.
 */
static char *const *find_files(char *const *words)
{
    char *const *first = NULL;
    for (; *words; words++) {
        if (begins_list(*words)) return NULL;
        bool is_file = **words != '-' && access(*words, F_OK) == 0;
        first = is_file ? (first ? first : words) : NULL;
    }
    return first;
}

void missing_dashes_add(struct buf *line, char *const *words, const char *task, const struct option_spec *spec)
{
    const char *why;
    if (strpbrk(task, "/,") || !program_can_run(task, &why)) return;
    buf_add_str(line, "fantail map");
    for (words++; *words && *words != task; words++) add_word(line, *words);
    if (!*words) BUG("the task is not one of the words");
    add_words(line, words + 1, spec, true, NULL);
    add_word(line, "--");
    add_word(line, *words);
    add_words(line, words + 1, spec, false, find_files(words + 1));
}
