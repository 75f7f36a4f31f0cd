/*
 * Checks the command of `fantail map -- COMMAND` before any item is sent. Gives hints about three common mistakes: a
 * command without the -- before it, a whole command line that is given as one word, and shell code with placeholders
 * for items.
 */
#ifndef FANTAIL_CLI_OPTIONS_COMMAND_CHECK_H
#define FANTAIL_CLI_OPTIONS_COMMAND_CHECK_H

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

#endif
