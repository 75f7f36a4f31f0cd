/*
 * An item's error as the client sees it. Workers and tasks write what they know; every error has the same members all
 * the same: name, cause, signal, exit_code, stderr, attempts, worker. A pure module.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ITEM_ERROR_H
#define FANTAIL_COORDINATOR_ANSWERS_ITEM_ERROR_H

#include "common/base/buf.h"
#include "protocol/protocol.h"

/* Appends {"error":{...}} as a line: the members of `line` (an ANSWER_ERROR) as they are, also those that are none of
 * ours; then what is missing of ours, the attempts that this item has had in all, and the worker that answered (NULL:
 * not known). */
void item_error_write(struct buf *out, const struct answer_line *line, unsigned attempts, const char *worker);

#endif
