/*
 * Translates the command line of GNU parallel to that of `fantail map`. The manner has what no option of `fantail map`
 * can express. Pure.
 */
#ifndef FANTAIL_CLI_PARALLEL_TRANSLATION_H
#define FANTAIL_CLI_PARALLEL_TRANSLATION_H

#include "cli/options/map_manner.h"
#include "cli/parallel/parallel_options.h"

/* A zeroed struct can be released. */
struct translation {
    char **argv;  /* of `fantail map`, NULL-ended. The reader of the arguments may change this array */
    char **owned; /* the same words, for their release */
    int argc;
    struct map_manner manner; /* all members except `shell` are set */
    char why[160];            /* what is wrong with the command line; empty: nothing */
};

/* `operands` are the words of the command, and then the values, each list after a ::: or a similar word; NULL-ended.
 * Borrows nothing but the folder of the manner. Returns false with a sentence in t->why if `fantail map` cannot do what
 * the command line asks for. */
MUST_CHECK bool translation_make(struct translation *t, const struct parallel_options *o, char *const *operands);
void translation_release(struct translation *t);

#endif
