#include "protocol/run_record.h"

const char *const run_record_numbers[] = {"slot",   "attempt",    "start_us", "took_us", "exit",
                                          "signal", "peak_bytes", "sent",     "received"};
static_assert(ARRAY_SIZE(run_record_numbers) == RUN_RECORD_NUMBER_COUNT, "a name for each");
