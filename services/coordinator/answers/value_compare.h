/*
 * Compares JSON values by their meaning, for min and max. Numbers are compared exactly, however they are written.
 * Strings are compared by the UTF-8 bytes of their characters. Whether a character is escaped does not matter. Pure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_VALUE_COMPARE_H
#define FANTAIL_COORDINATOR_ANSWERS_VALUE_COMPARE_H

#include "common/json/json_walk.h"

/* Returns a negative number, 0 or a positive number when a is less than, equal to or greater than b. Both must be valid
 * JSON numbers, of any length. The order is exact for exponents of up to 10^17. */
int value_compare_numbers(struct json_slice a, struct json_slice b);
/* Like value_compare_numbers(), for two valid JSON strings. A lone surrogate is compared as U+FFFD. */
int value_compare_strings(struct json_slice a, struct json_slice b);

#endif
