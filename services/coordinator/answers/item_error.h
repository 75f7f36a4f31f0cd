/*
 * An item's error as the client sees it. Workers and tasks write only the members that they know. item_error_write()
 * adds the missing ones, so that every error has all members: name, cause, signal, exit_code, stderr, attempts, worker.
 * Pure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ITEM_ERROR_H
#define FANTAIL_COORDINATOR_ANSWERS_ITEM_ERROR_H

#include "common/base/buf.h"
#include "protocol/protocol.h"

/* Appends {"error":{...}} as a line. `line` is an ANSWER_ERROR. The members of the error are copied unchanged,
 * including unknown members, and the missing members are added. There are three exceptions. The error's own members
 * `attempts` and `worker` are replaced by the arguments: `attempts` is the number of all attempts at the item, and
 * `worker` is the name of the worker that answered. If `worker` is NULL, the error's own `worker` is copied. A `name`
 * that is empty or not a string counts as missing. */
void item_error_write(struct buf *out, const struct answer_line *line, unsigned attempts, const char *worker);

/* Appends the error line of an item that ended without an answer from a worker. `cause` is a sentence or a phrase.
 * `sent` says whether the item was ever sent to a worker. The line has `sent` only if the error is cancelled or
 * deadline_exceeded. */
void item_error_write_own(struct buf *out, enum item_error error, const char *cause, unsigned attempts, bool sent);
/* Returns whether the error in a line of item_error_write_own() is cancelled or deadline_exceeded: the item had no
 * answer when its job ended. */
bool item_error_is_unanswered(const char *line, size_t len);

#endif
