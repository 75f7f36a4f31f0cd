/*
 * The options of `fantail map` that say how lines of the input become items: columns, CSV, and several lines for one
 * item. Also makes the changes to the command that follow from these options.
 */
#ifndef FANTAIL_CLI_OPTIONS_RECORD_OPTIONS_H
#define FANTAIL_CLI_OPTIONS_RECORD_OPTIONS_H

#include "cli/items/record_source.h"
#include "common/service/option.h"

/* Embedded in the options of a command. */
struct record_options {
    const char *colsep, *header, *delimiter, *trim, *end;
    bool csv, array, many, many_words, link, skip_blank, shuf;
    char delimiter_byte; /* ends each value if the values end with NUL bytes; record_options_check() sets it */
    int64_t group, group_words, max_chars; /* 0: not given. But before record_options_take_zero(), -1: not given */
};

#define RECORD_LINE_BYTES 131072 /* the largest argument that the kernel accepts, and the default of xargs */
#define RECORD_GROUP_MAX  1000000

#define RECORD_OPTION_ROWS(S, f)                                                                                       \
    OPTION_STRING("colsep", S, f.colsep, NULL,                                                                         \
                  "cut each line or value into columns at this regular expression, such as , or \\t or ' +'. {1} is "  \
                  "the first column; a task gets an array",                                                            \
                  .value = "SEP", .letter = 'C', .no_env = true),                                                      \
        OPTION_STRING("header", S, f.header, NULL,                                                                     \
                      "the first line, or the first value of each list, has the names of the columns. For a command, " \
                      "{NAME} is the column NAME; a task gets an object. Without --colsep, tabs separate the columns", \
                      .value = ":", .no_env = true),                                                                   \
        OPTION_BOOL("csv", S, f.csv, NULL,                                                                             \
                    "the input is CSV (RFC 4180), whose values may contain newlines. The separator is --colsep, or a " \
                    "comma",                                                                                           \
                    .no_env = true),                                                                                   \
        OPTION_BOOL("array", S, f.array, NULL,                                                                         \
                    "the input is one JSON array, and its values are the items. A command needs --json too",           \
                    .no_env = true),                                                                                   \
        OPTION_BOOL("link", S, f.link, NULL,                                                                           \
                    "all lists of values are linked, as with :::+, but a list that is shorter than the longest one "   \
                    "begins again",                                                                                    \
                    .no_env = true),                                                                                   \
        OPTION_BOOL("shuf", S, f.shuf, NULL,                                                                           \
                    "run the items in a random order. All of the input is read first, at most 256 MiB",                \
                    .no_env = true),                                                                                   \
        OPTION_STRING("delimiter", S, f.delimiter, NULL,                                                               \
                      "each item is text that ends with this byte instead of a newline: one character, or \\0, \\n, "  \
                      "\\t, \\x1f and the like",                                                                       \
                      .value = "BYTE", .letter = 'd', .no_env = true),                                                 \
        OPTION_STRING("trim", S, f.trim, NULL,                                                                         \
                      "leave out the white space at the left end of each value (l), at the right end (r), at both "    \
                      "ends (lr) or nowhere (n). With --colsep the default is lr",                                     \
                      .value = "lr", .no_env = true),                                                                  \
        OPTION_STRING("eof", S, f.end, NULL, "the input ends before this line or value", .value = "TEXT",              \
                      .letter = 'E', .no_env = true),                                                                  \
        OPTION_BOOL("no-run-if-empty", S, f.skip_blank, NULL, "leave out lines and values that have only white space", \
                    .letter = 'r', .no_env = true),                                                                    \
        OPTION_INT("max-args", S, f.group, "-1", -1, RECORD_GROUP_MAX,                                                 \
                   "this many lines or values are one item: the arguments of one command, or an array for a task. 0: " \
                   "a command runs for each line or value, but does not get it. -1: each one is an item",              \
                   .value = "N", .letter = 'n', .no_env = true),                                                       \
        OPTION_INT("max-replace-args", S, f.group_words, "-1", -1, RECORD_GROUP_MAX,                                   \
                   "like -n, but only for a command, and a word with {} is repeated for each value. With --pipe: the " \
                   "number of records in a block. -1: as -n says",                                                     \
                   .value = "N", .letter = 'N', .no_env = true),                                                       \
        OPTION_BOOL("many", S, f.many, NULL,                                                                           \
                    "each command gets as many lines or values as fit into its command line. Near the end of the "     \
                    "input, what is left is divided evenly among the -j commands",                                     \
                    .letter = 'm', .no_env = true),                                                                    \
        OPTION_BOOL("many-words", S, f.many_words, NULL, "like -m, but a word with {} is repeated for each value",     \
                    .letter = 'X', .no_env = true),                                                                    \
        OPTION_INT("max-chars", S, f.max_chars, "0", 0, RECORD_LINE_BYTES,                                             \
                   "with -m, -X, -n or -N: the largest length of a command line, in bytes. 0: 131072", .value = "N",   \
                   .letter = 's', .no_env = true)

/* The words and the tag of a command after the options have changed them. A zeroed struct has none. */
struct record_words {
    char **words; /* NULL-ended; NULL: none */
    char *tag;
};

/* Call it when the options have been read. Returns whether -n 0 or -N 0 was given: the command does not get the item.
 * These options then count as not given. */
MUST_CHECK bool record_options_take_zero(struct record_options *o);
/* Returns whether items are made from records. */
bool record_options_given(const struct record_options *o);
/* Returns whether the first line is a header. */
bool record_options_has_header(const struct record_options *o);
/* Returns the name of an option that was given and cannot be used with blocks; NULL: none. */
const char *record_options_name(const struct record_options *o);
/* Returns whether each word of the command that has {} is repeated for each value. */
bool record_options_repeat(const struct record_options *o);
/* What was given on the command line besides the options in struct record_options. */
struct record_context {
    bool text, json, nulls, raw, to_stdin, shell, quotes_words, plus, resumes, blocks;
    char *const *command; /* NULL: a task */
    const char *marker;   /* the placeholder for the item; NULL: {} */
    size_t slots;         /* how many commands may run at once */
};

/* Checks the options. Returns EXIT_OK, or EXIT_USAGE after a message in the name of `spec`. */
MUST_CHECK int record_options_check(struct record_options *o, const struct option_spec *spec,
                                    const struct record_context *c);
/* Returns whether --delimiter names a byte other than a newline. Call it after record_options_check(). */
bool record_options_ends_otherwise(const struct record_options *o);
/* Sets *p to what the options say. */
void record_options_plan(const struct record_options *o, const struct record_context *c, struct record_plan *p);
/* Measures the command line. Call it after record_words_cut(), because the words that are repeated are the cut ones. */
void record_options_measure(const struct record_options *o, const struct record_context *c, struct line_length *l);

/* Replaces the names of columns with their numbers, in the words of the command and in *tag. *tag may be NULL. */
void record_words_number(struct record_words *w, const struct header_names *names, char ***words, const char **tag);
/* Joins the words with spaces, and cuts the result at each space. So a placeholder in shell code becomes a word of its
 * own, together with the text that touches it. */
void record_words_cut(struct record_words *w, char ***words);
void record_words_release(struct record_words *w);

#endif
