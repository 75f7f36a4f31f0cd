/*
 * Turns an item into the text that a command gets.
 *
 * In arguments, a JSON string is written without its quotes and escapes. On stdin, a JSON string is written without its
 * quotes and escapes only with --text. Any other value is written as JSON.
 */
#ifndef FANTAIL_HOSTS_EXEC_ITEM_H
#define FANTAIL_HOSTS_EXEC_ITEM_H

#include "common/base/buf.h"

/* Appends the item as text: a string without quotes and escapes, any other value as JSON. Returns false if the item is
 * a string that is malformed or has a lone surrogate. The worker never sends a malformed string. */
MUST_CHECK bool exec_item_add_text(const char *json, size_t len, struct buf *text);

#endif
