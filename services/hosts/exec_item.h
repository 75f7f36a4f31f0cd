/*
 * Makes a command's arguments and standard input from an item. Does not handle processes.
 *
 * In arguments, a JSON string is written without its quotes and escapes. On stdin this is done only with --text. Any
 * other value is written as JSON.
 */
#ifndef FANTAIL_HOSTS_EXEC_ITEM_H
#define FANTAIL_HOSTS_EXEC_ITEM_H

#include "common/base/buf.h"

/* The command, with {} as the placeholder for the item. The struct borrows argv. */
struct exec_template {
    char **argv; /* NULL-ended */
    int argc;
    bool has_marker;
    bool append; /* no argument has {}, and the item becomes the last argument */
};

/* The arguments for one item. The struct owns the arguments, and is reused for the next item. */
struct exec_args {
    char **argv; /* NULL-ended; argv[-1] is free for the name of an interpreter */
    char **base;
    size_t room;
    struct buf text; /* the arguments that contain the item */
    size_t *offsets; /* where each argument begins in `text`; SIZE_MAX: use the argument of the template */
};

/* Appends the item as text: a string without quotes and escapes, any other value as JSON. Returns false if the item is
 * a string that is malformed or has a lone surrogate. The worker never sends a malformed string. */
MUST_CHECK bool exec_item_text(const char *json, size_t len, struct buf *text);

void exec_template_init(struct exec_template *t, char **argv, bool append);
/* Returns true if the item is passed in the arguments, false if on stdin. */
bool exec_template_uses_item(const struct exec_template *t);

/* Fills *args for an item. `text` is the item as text, which must not contain a NUL. */
void exec_args_build(struct exec_args *args, const struct exec_template *t, const char *text, size_t len);
void exec_args_release(struct exec_args *args);

#endif
