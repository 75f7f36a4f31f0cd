/* Prints a table of options, for --help and --print-config. option_print.c also has option_is_nearer() and
 * option_guess(). */
#ifndef FANTAIL_COMMON_SERVICE_OPTION_PRINT_H
#define FANTAIL_COMMON_SERVICE_OPTION_PRINT_H

#include "common/base/buf.h"
#include "common/service/option.h"

enum option_source { OPTION_FROM_DEFAULT, OPTION_FROM_ENV, OPTION_FROM_FLAG };

struct option_env_name {
    char text[64];
};

/* Returns the name of the option's environment variable: FANTAIL_DRAIN_S for "drain-s". */
struct option_env_name option_env_name(const struct option_row *row);
/* Returns the word that stands for the value in texts, such as N or PATH; NULL if the option has no value. */
const char *option_value_word(const struct option_row *row);
void option_print_help(const struct option_spec *spec);
/* Appends the options that the user may have meant by the unknown name `typed`, such as "--retries or --retry-on".
 * Appends nothing if no option is similar, or if too many are. */
void option_guess(const struct option_spec *spec, const char *typed, size_t len, struct buf *out);
/* Prints lines of the form "name = value # source". sources[i] is the source of the value of rows[i]. */
void option_print_config(const struct option_spec *spec, const void *config, const enum option_source *sources);

#endif
