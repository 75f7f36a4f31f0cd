/*
 * Checks the command of `fantail map -- COMMAND` before any item is sent. Gives hints about four common mistakes: a
 * command without the -- before it, a whole command line that is given as one word, shell code with placeholders for
 * items, and a placeholder with a mistyped name of a column.
 */
#ifndef FANTAIL_CLI_OPTIONS_COMMAND_CHECK_H
#define FANTAIL_CLI_OPTIONS_COMMAND_CHECK_H

#include "cli/records/header_names.h"
#include "common/service/option.h"

/* Checks that the program of the command can be started, or the shell if `shell` is not NULL. Unless `raw` is set, also
 * checks that the words of the command are UTF-8. Returns EXIT_OK, or complains and returns EXIT_USAGE. `command` has
 * at least one word, and NULL after its last word. */
MUST_CHECK int command_check(const struct option_spec *spec, char *const *command, const char *shell, bool raw);

/* Checks that the task is not a whole command, such as `wc -l {}`, for which -- was forgotten. Returns EXIT_OK, or
 * complains with the right command line and returns EXIT_USAGE. */
MUST_CHECK int command_check_task(const struct option_spec *spec, const char *task);

/* Prints a warning if the command is shell code with a placeholder in it, such as sh -c 'wc {}'. `replace`: the
 * placeholder for the item; NULL: {}. `lists`: {N} is a placeholder if N is at most this number: the number of lists
 * of values, or SIZE_MAX if the input has columns; 0 counts as 1. */
void command_warn_of_code(char *const *command, const char *replace, size_t lists);

/* Checks that no word has a {NAME} that is similar to the name of a column without being one. Other texts in braces are
 * left to the command, such as the {print} of awk. Returns EXIT_OK, or complains and returns EXIT_USAGE. `warns`:
 * complains, but returns EXIT_OK, because GNU parallel also runs such a command. `tag` may be NULL. */
MUST_CHECK int command_check_columns(const struct option_spec *spec, char *const *command, const char *tag,
                                     const struct header_names *names, bool warns);

#endif
