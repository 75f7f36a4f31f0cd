/* The options of `fantail map` that cut the input into blocks, each of which is the standard input of a command. */
#ifndef FANTAIL_CLI_OPTIONS_BLOCK_OPTIONS_H
#define FANTAIL_CLI_OPTIONS_BLOCK_OPTIONS_H

#include "cli/blocks/block_source.h"
#include "common/service/option.h"

/* Embedded in the options of a command. */
struct block_options {
    bool pipe, pipepart;
    const char *block, *recstart, *recend; /* NULL: not given */
    struct block_plan plan;                /* set by block_options_check() */
};

#define BLOCK_OPTION_ROWS(S, f)                                                                                        \
    OPTION_BOOL("pipe", S, f.pipe, NULL,                                                                               \
                "cut the input into blocks at ends of lines. Each command gets a block on its standard input. Not "    \
                "with --reduce, which would keep the whole input in memory",                                           \
                .no_env = true),                                                                                       \
        OPTION_BOOL("pipepart", S, f.pipepart, NULL,                                                                   \
                    "the same for the file of -a. The file is not copied: each block is read from its place in it",    \
                    .no_env = true),                                                                                   \
        OPTION_STRING("block", S, f.block, NULL,                                                                       \
                      "with --pipe and --pipepart: the largest size of a block. With --pipepart, -2 means two blocks " \
                      "for each command that may run at once. The default is 1M",                                      \
                      .value = "BYTES", .no_env = true),                                                               \
        OPTION_STRING("recstart", S, f.recstart, NULL,                                                                 \
                      "with --pipe and --pipepart: cut before this text. \\n is a newline", .value = "TEXT",           \
                      .no_env = true),                                                                                 \
        OPTION_STRING("recend", S, f.recend, NULL,                                                                     \
                      "with --pipe and --pipepart: cut after this text; with --recstart, cut only where both texts "   \
                      "meet. An empty text means: cut anywhere. The default is \\n, or an empty text with --recstart", \
                      .value = "TEXT", .no_env = true)

/* Returns whether the input is cut into blocks. */
bool block_options_given(const struct block_options *o);
/* Returns the name of one of these options that was given; NULL: none was given. */
const char *block_options_any(const struct block_options *o);
/* What else was given on the command line. */
struct block_context {
    const char *other; /* an option that says how the input becomes items; NULL: none */
    int64_t records;   /* -N: the records of a block; 0: not given */
    const char *head;  /* --header: what is repeated for each block; NULL: nothing */
    bool reduce;
    unsigned group; /* a block has whole groups of this number of records; 0: not given */
    size_t files;   /* of -a */
    bool lists;     /* there are words such as ::: */
    unsigned slots; /* how many commands may run at once */
};

/* Checks these options, and sets o->plan if the input is cut into blocks. Returns EXIT_OK, or EXIT_USAGE after a
 * message in the name of `spec`. */
MUST_CHECK int block_options_check(struct block_options *o, const struct option_spec *spec,
                                   const struct block_context *c);

#endif
