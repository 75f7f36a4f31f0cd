/*
 * Command-line options from one table. A row has the option's name, type, default, bounds and help. The row also names
 * the field of a config struct that gets the value. `--drain-s 30` or `--drain-s=30` overrides FANTAIL_DRAIN_S, which
 * overrides the default. Every program also has --help, --version and --print-config.
 *
 *     static const struct option_row rows[] = {
 *         OPTION_HEADING("Shutting down"),
 *         OPTION_SECONDS("drain-s", struct config, drain_s, "30", 0, 86400, "time for running work to end"),
 *         OPTION_ROWS_END};
 *     struct option_result r;
 *     if (!option_parse(&spec, &config, argc, argv, &r)) return r.exit_status;
 *
 * Strings are borrowed from argv and the environment. option_parse() keeps no state after it returns.
 */
#ifndef FANTAIL_COMMON_SERVICE_OPTION_H
#define FANTAIL_COMMON_SERVICE_OPTION_H

#include "common/base/base.h"

enum option_type {
    OPTION_TYPE_END, /* ends a table */
    OPTION_TYPE_HEADING,
    OPTION_TYPE_BOOL,    /* bool: --x, --no-x, --x=true|false|yes|no|on|off|1|0 */
    OPTION_TYPE_INT,     /* int64_t within min..max */
    OPTION_TYPE_BYTES,   /* int64_t within min..max; K, M, G and T (or KiB ...) may follow the number */
    OPTION_TYPE_PORT,    /* int64_t, 0..65535; if min is -1, the word "off" is allowed and means -1 */
    OPTION_TYPE_SECONDS, /* double within min..max */
    OPTION_TYPE_STRING,  /* const char *; default may be NULL */
    OPTION_TYPE_PATH,    /* const char *, not empty; default may be NULL */
    OPTION_TYPE_CHOICE,  /* int: the index of the word in choices */
    OPTION_TYPE_WORDS,   /* struct option_words: each use of the option adds one text */
};

#define OPTION_WORDS_MAX 16
struct option_words {
    const char *words[OPTION_WORDS_MAX];
    unsigned count;
};

struct option_row {
    const char *name; /* "drain-s", without dashes; for a heading: its text */
    enum option_type type;
    size_t offset;
    const char *fallback; /* the default, as a user would type it; NULL for a bool means false */
    double min, max;
    const char *const *choices; /* NULL-ended */
    const char *help;           /* one sentence without its full stop; --help adds the default */
    const char *value;          /* the name of the value in --help; NULL: a name that depends on the type */
    char letter;                /* 'q' for -q; 0: none */
    bool no_env;                /* has no environment variable FANTAIL_... */
    bool hidden;                /* --help does not show the option */
    bool required;
    const char *needs; /* name of another option, without which this option would have no effect; NULL: none */
    /* Name of another option that this option excludes; NULL: none. If this option is on the command line, the
     * environment variable of the excluded option is ignored. If both options are on the command line, the caller
     * refuses them. */
    const char *overrides;
    bool once; /* giving the option twice is an error, because one text holds several values */
};

/* The offset of a field. Compilation fails if the field does not have the type that the option writes. */
#define OPTION_FIELD(S, field, T)                                                                                      \
    (offsetof(S, field) + 0 * sizeof(struct {                                                                          \
                              _Static_assert(__builtin_types_compatible_p(__typeof__(((S *)0)->field), T),             \
                                             #field " must be a " #T);                                                 \
                              int unused;                                                                              \
                          }))
/* Versions 14 and 19 of clang-format disagree about macros that are initialisers. */
/* clang-format off */
#define OPTION_ROW_(n, t, S, f, T, d, ...) \
    { .name = (n), .type = (t), .offset = OPTION_FIELD(S, f, T), .fallback = (d), __VA_ARGS__ }
#define OPTION_HEADING(text) { .name = (text), .type = OPTION_TYPE_HEADING }
#define OPTION_ROWS_END      { .type = OPTION_TYPE_END }
/* clang-format on */

/* Fields of struct option_row may follow the last argument: OPTION_BOOL("quiet", struct c, quiet, NULL, "...", .letter
 * = 'q'). */
#define OPTION_BOOL(n, S, f, d, h, ...) OPTION_ROW_(n, OPTION_TYPE_BOOL, S, f, bool, d, .help = (h), __VA_ARGS__)
#define OPTION_INT(n, S, f, d, lo, hi, h, ...)                                                                         \
    OPTION_ROW_(n, OPTION_TYPE_INT, S, f, int64_t, d, .min = (double)(lo), .max = (double)(hi), .help = (h),           \
                __VA_ARGS__)
#define OPTION_BYTES(n, S, f, d, lo, hi, h, ...)                                                                       \
    OPTION_ROW_(n, OPTION_TYPE_BYTES, S, f, int64_t, d, .min = (double)(lo), .max = (double)(hi), .help = (h),         \
                __VA_ARGS__)
#define OPTION_PORT(n, S, f, d, lo, h, ...)                                                                            \
    OPTION_ROW_(n, OPTION_TYPE_PORT, S, f, int64_t, d, .min = (lo), .max = 65535, .help = (h), __VA_ARGS__)
#define OPTION_SECONDS(n, S, f, d, lo, hi, h, ...)                                                                     \
    OPTION_ROW_(n, OPTION_TYPE_SECONDS, S, f, double, d, .min = (lo), .max = (hi), .help = (h), __VA_ARGS__)
#define OPTION_STRING(n, S, f, d, h, ...)                                                                              \
    OPTION_ROW_(n, OPTION_TYPE_STRING, S, f, const char *, d, .help = (h), __VA_ARGS__)
#define OPTION_PATH(n, S, f, d, h, ...)                                                                                \
    OPTION_ROW_(n, OPTION_TYPE_PATH, S, f, const char *, d, .help = (h), __VA_ARGS__)
#define OPTION_CHOICE(n, S, f, d, words, h, ...)                                                                       \
    OPTION_ROW_(n, OPTION_TYPE_CHOICE, S, f, int, d, .choices = (words), .help = (h), __VA_ARGS__)

#define OPTION_WORDS(n, S, f, h, ...)                                                                                  \
    OPTION_ROW_(n, OPTION_TYPE_WORDS, S, f, struct option_words, NULL, .help = (h), .no_env = true, __VA_ARGS__)

enum option_operands {
    OPTION_OPERANDS_NONE,     /* an argument that is not an option is an error */
    OPTION_OPERANDS_ANYWHERE, /* operands may stand between options; argv is reordered so that operands come last */
    OPTION_OPERANDS_STOP,     /* parsing ends at the first operand (subcommands) */
};

/* An option that other programs have, and that users may therefore try. */
struct option_foreign {
    const char *given;                 /* with its dashes: "-j"; NULL ends a table */
    const char *advice;                /* what to type instead */
    const struct option_foreign *next; /* at the end of a table: another table that is searched next; NULL: none */
};

struct option_spec {
    const char *program;  /* "fantail-worker", "fantail map": messages begin with it */
    const char *usage;    /* what follows the program's name: "[option...]" */
    const char *about;    /* what the program does; --help prints it first */
    const char *epilogue; /* examples and further hints, printed last; may be NULL */
    const struct option_row *rows;
    enum option_operands operands;
    /* With OPTION_OPERANDS_NONE: what to type instead of an operand, for the message; may be NULL. */
    const char *operand_advice;
    const struct option_foreign *foreign; /* for the message about an unknown option; may be NULL */
    /* The advice about an unknown option that follows an operand, if the option has one letter or is not in `foreign`;
     * may be NULL. */
    const char *late_option_advice;
};

struct option_result {
    int exit_status;   /* set if option_parse() returns false: 2 after an error, otherwise 0 */
    int first_operand; /* index of the first operand in argv; argc if there is none */
};

/* Reads the options from argv[1] on into *config; "--" ends the options. Returns false if the program should end with
 * r->exit_status. Before it returns false, the function has printed the output of --help, --version or --print-config
 * on standard output, or an error message on standard error. The error message names the option or argument that is
 * wrong. */
MUST_CHECK bool option_parse(const struct option_spec *spec, void *config, int argc, char **argv,
                             struct option_result *r);
/* Prints "program: --name: message" on standard error and returns 2. Use this function for checks that concern several
 * options. `name` may be NULL. */
int option_complain(const struct option_spec *spec, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* To find the name that a user probably meant, call this function for each name. Set *distance to OPTION_DISTANCE_FAR
 * before the first call. Returns true if `name` is similar to the first `len` bytes of `typed`, and more similar than
 * all names before. Two names are similar if at most two letters are wrong, missing, surplus or swapped; if one of the
 * names is short, at most one. */
#define OPTION_DISTANCE_FAR 3
MUST_CHECK bool option_is_nearer(const char *typed, size_t len, const char *name, unsigned *distance);

/* Reads a size such as "64K". Returns false if the text is not a size. */
MUST_CHECK bool option_read_bytes(const char *text, int64_t *bytes);

#endif
