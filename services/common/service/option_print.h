/* What option.c says about a table on standard output: --help and --print-config. Private to option*.c. */
#ifndef FANTAIL_COMMON_SERVICE_OPTION_PRINT_H
#define FANTAIL_COMMON_SERVICE_OPTION_PRINT_H

#include "common/service/option.h"

enum option_source { OPTION_FROM_DEFAULT, OPTION_FROM_ENV, OPTION_FROM_FLAG };

struct option_env_name {
    char text[64];
};

/* "drain-s" is FANTAIL_DRAIN_S. */
struct option_env_name option_env_name(const struct option_row *row);
void option_print_help(const struct option_spec *spec);
/* "name = value   # where from"; sources[i] belongs to rows[i]. */
void option_print_config(const struct option_spec *spec, const void *config, const enum option_source *sources);

#endif
