/*
 * The order of JSON values by what they mean, for min and max: numbers exactly, however they are written, and strings
 * by the UTF-8 bytes of their characters, whether these are escaped or not. Pure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_ORDERING_H
#define FANTAIL_COORDINATOR_ANSWERS_ORDERING_H

#include "common/json/json_walk.h"

/* Below 0, 0 or above 0 when a is less than b, equal or greater. Both are valid JSON numbers, of any length. An
 * exponent counts up to 10^17. */
int ordering_of_numbers(struct json_slice a, struct json_slice b);
/* The same for two valid JSON strings. A lone surrogate counts as U+FFFD. */
int ordering_of_strings(struct json_slice a, struct json_slice b);

#endif
