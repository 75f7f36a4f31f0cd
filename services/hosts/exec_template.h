/*
 * A command with placeholders, and its arguments for one row of values (exec_row.h). Does not handle processes.
 *
 *     {}      the value              {/}     its file name, without the folders
 *     {.}     without extension      {/.}    its file name without extension
 *     {//}    its folder             {#}     the number of the row, from 1 on
 *     {%}     the number of the slot, from 1 on
 *     {2}, {2.}, {2/}, {2//}, {2/.}  the same forms for the second value. If the row lacks this value, the placeholder
 *                                    stays as it is; with `blanks` the placeholder is removed
 *     {-1}, {-1.}, ...               the same forms for the last value; {-2}: for the second last value
 *
 * With `plus` there are also these placeholders, and those of value_edit.h:
 *
 *     {+/}    its folder, empty if there is none      {+.}, {+..}, {+...}  its last extension, or its last two or three
 *     {..}, {...}, {/..}, {/...}                      it and its file name, without two or three extensions
 *     {##}    the number of all rows
 *
 * Without a number, a placeholder stands for all values. If a placeholder without a number is a whole argument, each
 * value becomes an argument. If the placeholder is only a part of an argument, the values are joined with spaces. The
 * rules for names are those of GNU parallel.
 */
#ifndef FANTAIL_HOSTS_EXEC_TEMPLATE_H
#define FANTAIL_HOSTS_EXEC_TEMPLATE_H

#include "hosts/runs/value_edit.h"
#include "hosts/exec_row.h"

enum exec_place {
    PLACE_NONE, /* plain text */
    PLACE_VALUE,
    PLACE_NO_EXTENSION,
    PLACE_EXTENSION,
    PLACE_PARENT, /* {+/} */
    PLACE_NAME,
    PLACE_FOLDER,
    PLACE_NAME_NO_EXTENSION,
    PLACE_NUMBER,
    PLACE_SLOT,
    PLACE_TOTAL,
    PLACE_EDITED,
};

/* A piece of an argument: plain text, or a placeholder. */
struct exec_part {
    enum exec_place place;
    size_t column;           /* number of the value, from 1 on; 0: all values */
    bool from_end;           /* `column` counts from the last value */
    unsigned extensions;     /* how many of the last extensions are dropped; with PLACE_EXTENSION: how many are kept */
    struct value_edit *edit; /* with PLACE_EDITED; owned by the template */
    const char *text;        /* the text in the command; borrowed */
    size_t len;
};

struct exec_word {
    size_t first, count; /* index of its first part; number of its parts */
};

struct exec_template {
    char **argv; /* NULL-ended; borrowed */
    size_t argc;
    struct exec_word *words; /* one for each argument, and one more for the values that are appended */
    struct exec_part *parts;
    size_t parts_count, parts_alloc;
    size_t least_column; /* the least column of all placeholders for values; SIZE_MAX: there are none */
    bool has_number;     /* there is a {#}, a {%} or a {##} */
    bool append;
    /* The caller may set the fields below. */
    bool repeats;      /* a word with a placeholder for all values is repeated for each value */
    bool quotes;       /* values are quoted for a shell */
    bool quotes_words; /* exec_template_join() quotes each word, for a shell */
    char *shell;       /* runs the words, joined with spaces; NULL: there is no shell; borrowed */
    bool blanks;       /* a placeholder for a value that the row lacks is removed; otherwise it stays as it is */
    uint64_t total;    /* for {##} */
    bool ignores;      /* if there is no placeholder, the command does not get the values */
};

/* The arguments for one row. The struct owns the arguments, and is reused for the next row. */
struct exec_args {
    char **argv; /* NULL-ended; argv[-1] is free for the name of an interpreter */
    char **base;
    size_t room, count;
    struct buf text; /* the arguments that contain values */
    size_t *offsets; /* where each argument begins in `text`; SIZE_MAX: use the argument of the template */
};

/* Which placeholders a template may have. */
struct exec_markers {
    const char *value; /* the placeholder for the value: {}, or another text */
    bool only_value;   /* there are no other placeholders */
    bool plus;
};

/* `append`: if no argument has a placeholder, the values become the last arguments. */
void exec_template_init(struct exec_template *t, char **argv, const struct exec_markers *m, bool append);
void exec_template_release(struct exec_template *t);
/* Returns whether the values of the row go into the arguments. If the result is false, the item goes to stdin. */
bool exec_template_takes(const struct exec_template *t, const struct exec_row *row);

/* Appends the words with the values of the row, joined with spaces. The values are quoted if `quotes` is set. */
void exec_template_join(const struct exec_template *t, const struct exec_row *row, struct buf *text);
/* Fills *args for a row. The values of the row must not contain a NUL. */
void exec_args_build(struct exec_args *args, const struct exec_template *t, const struct exec_row *row);
void exec_args_release(struct exec_args *args);

#endif
