/*
 * Says why an item has no value, and makes the answer line for it: {"error":{"name":...,"cause":...,"signal":...,...}}.
 * A pure module.
 */
#ifndef FANTAIL_WORKER_PROCESS_FAULT_H
#define FANTAIL_WORKER_PROCESS_FAULT_H

#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/json/byte_tail.h"
#include "protocol/protocol.h"

struct fault {
    enum item_error name;
    int signal;     /* 0: none */
    int exit_code;  /* -1: none */
    bool in_answer; /* the answer of the current item is invalid, so no other item can be at fault */
    char cause[1024];
    size_t own; /* bytes of `cause` before the quoted output of the task; only these may be logged */
};

void fault_set(struct fault *f, enum item_error name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds the beginning of the invalid line `line` to the cause. */
void fault_quote(struct fault *f, const char *line, size_t len);
/* Puts the command and its folder before the cause. `command` ends with NULL. Long texts are cut off. */
void fault_name_command(struct fault *f, const char *const *command, const char *folder);
/* Fills f from the status that waitpid() returned. `answered` says whether the process has ever answered an item. */
void fault_from_exit(struct fault *f, int status, bool answered);
/* Returns whether the end of stderr says that memory ran out. At the limit RLIMIT_DATA, allocations fail, but the
 * kernel does not kill the process. Most runtimes report a failed allocation on stderr before they end. */
MUST_CHECK bool fault_says_out_of_memory(const char *stderr_tail, size_t len);
/* Appends the answer line, with its newline. `tail` is the end of stderr; NULL: it is not known which lines of stderr
 * belong to the item. */
void fault_add_line(struct buf *b, const struct fault *f, const struct byte_tail *tail, const char *worker_id);

#endif
