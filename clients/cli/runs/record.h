/* Reads the record of a command that has ended (protocol/run_record.h). Pure. */
#ifndef FANTAIL_CLI_RUNS_RECORD_H
#define FANTAIL_CLI_RUNS_RECORD_H

#include "common/json/json_walk.h"
#include "protocol/run_record.h"

struct run_record {
    bool halted;    /* the command did not run to its end; the other members are not set */
    uint64_t index; /* of the item */
    int64_t numbers[RUN_RECORD_NUMBER_COUNT];
    struct json_slice worker, command; /* JSON strings */
    struct json_slice output;          /* empty: there is none */
    struct json_slice error;           /* empty: the command has succeeded */
};

/* The value must be valid JSON. Returns false if it is not a record. The slices of *r are borrowed from the value. */
MUST_CHECK bool run_record_read(struct json_slice value, struct run_record *r);
/* Makes the record of an item that has an error and no record: its process has died, or the item was not answered. The
 * attempts, the exit code, the signal and the worker are those of the error object; if neither an exit
 * code nor a signal is known, the exit code is -1. The slices of *r are borrowed from `error`. */
void run_record_of_error(struct run_record *r, uint64_t index, struct json_slice error);
/* Appends the error object with all its members (docs/protocol.md). */
void run_record_add_error(const struct run_record *r, struct buf *json);

#endif
