/*
 * From an item to a command's arguments and standard input. Knows no processes.
 *
 * A JSON string goes into arguments, and with --text to stdin, as its characters; every other value as its JSON text.
 */
#ifndef FANTAIL_HOSTS_EXEC_ITEM_H
#define FANTAIL_HOSTS_EXEC_ITEM_H

#include "common/base/buf.h"

/* The command as given, with {} where the item goes. Borrows argv. */
struct exec_template {
    char **argv; /* NULL-ended */
    int argc;
    bool has_marker;
    bool append; /* the item is one more argument at the end, if no {} exists */
};

/* One item's arguments. Owned; reused for the next item. */
struct exec_args {
    char **argv; /* NULL-ended; argv[-1] is room for an interpreter */
    char **base;
    size_t room;
    struct buf text; /* what the changed arguments point into */
    size_t *offsets; /* of each argument in text, or SIZE_MAX when it is the template's */
};

/* The item's plain text: a JSON string's characters, any other value's JSON. False when a string is malformed. */
MUST_CHECK bool exec_item_text(const char *json, size_t len, struct buf *text);

void exec_template_init(struct exec_template *t, char **argv, bool append);
/* True when the arguments take the item, so that stdin does not. */
bool exec_template_uses_item(const struct exec_template *t);

/* Fills args for an item given as plain text without NULs. */
void exec_args_build(struct exec_args *args, const struct exec_template *t, const char *text, size_t len);
void exec_args_release(struct exec_args *args);

#endif
