/*
 * The record of a command that has ended. If a run of `fantail map -- COMMAND` needs more than the output of the
 * commands, the value of each item is a record. fantail-host-exec writes the records (--record), and the client reads
 * them. The members:
 *
 *     {"index":0,"halted":true}     the run was halted, so the command did not start or was killed
 *
 *     {"index":0,"slot":1,"attempt":1,"worker":"local-1","start_us":...,"took_us":...,"exit":0,"signal":0,
 *      "peak_bytes":...,"sent":0,"received":6,"command":"...","output":...,"error":{...}}
 *
 * start_us is the time since 1970, in microseconds. "exit" is the exit status, or 0 if a signal ended the command, or
 * 127 if the command could not be started. "exit" is -1 if fantail killed the command, could not write the files of
 * --results, or could not read the block. "sent" and "received" are the bytes of standard input and standard output.
 * "command" is the command line, as a string of common/json/byte_text.h. "output" is missing if the output does not
 * have the requested form. "output" is empty if the lines of the output were passed on while the command ran. "error"
 * is the error object of a command that failed and is not tried again, or whose output does not have the requested
 * form. Otherwise "error" is missing.
 */
#ifndef FANTAIL_PROTOCOL_RUN_RECORD_H
#define FANTAIL_PROTOCOL_RUN_RECORD_H

#include "common/base/base.h"

/* The members that are numbers, in the order of the record. */
enum run_record_number {
    RUN_RECORD_SLOT,
    RUN_RECORD_ATTEMPT,
    RUN_RECORD_START_US,
    RUN_RECORD_TOOK_US,
    RUN_RECORD_EXIT,
    RUN_RECORD_SIGNAL,
    RUN_RECORD_PEAK_BYTES,
    RUN_RECORD_SENT,
    RUN_RECORD_RECEIVED,
    RUN_RECORD_NUMBER_COUNT
};
extern const char *const run_record_numbers[RUN_RECORD_NUMBER_COUNT];

#endif
