/*
 * The arguments of a command line that give the items of a run:
 *
 *     ::: VALUE...      a list of values
 *     :::: FILE...      each file is a list, with one value per line; `-a FILE` does the same
 *     :::+, ::::+       the same, but linked to the list before it (item_lists.h)
 *
 * All arguments after the first of these words are values, files or further words of this kind. A single file is read
 * while the run goes on, like standard input. Several lists are first read into memory, up to ITEM_ARGUMENTS_BYTES of
 * files, because each value is used in more than one combination.
 */
#ifndef FANTAIL_CLI_ITEMS_ITEM_ARGUMENTS_H
#define FANTAIL_CLI_ITEMS_ITEM_ARGUMENTS_H

#include "cli/items/input_source.h"
#include "common/service/option.h"

#define ITEM_ARGUMENTS_BYTES (256u << 20)

struct item_arguments {
    struct option_words files; /* of -a */
    char **lists;              /* the arguments from the first word such as `:::` on, NULL-terminated; may be NULL */
    bool text;                 /* the values are text; if not, JSON */
    bool nulls;                /* in files, each value ends with a NUL byte, or with `delimiter` */
    char delimiter;
    bool wraps;                        /* all lists are linked, see item_lists.h */
    const char *end;                   /* each list ends before this value; NULL: there is no such value */
    bool shuffles;                     /* the items come in a random order. The whole input is read first */
    bool skip_blank;                   /* values with only white space are left out */
    bool raw;                          /* the values are any bytes, which become strings of common/json/byte_text.h */
    bool rows;                         /* the items are for a command, see item_lists.h */
    const struct block_plan *blocks;   /* not NULL: the input is cut into blocks, which are the items */
    const struct record_plan *records; /* NULL: each line or combination of values is an item */
};

/* Returns the index of the first word such as `:::`, or argc if there is none. */
int item_arguments_find(int argc, char *const *argv);
/* Returns the path of the file with the items if there is exactly one list and this list is a file. Returns "-" if the
 * items come from standard input, and otherwise NULL. */
const char *item_arguments_one_file(const struct option_words *files, char *const *lists);
/* Opens the source of the items: standard input if there are no lists. If the records have a header, reads the header.
 * Returns EXIT_OK, and the caller releases the source. Otherwise complains, for the command of `spec`, and returns
 * EXIT_USAGE. */
MUST_CHECK int item_arguments_open(const struct item_arguments *a, const struct option_spec *spec,
                                   struct input_source *source);

#endif
