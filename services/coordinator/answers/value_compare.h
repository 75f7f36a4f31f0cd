/*
 * Compares JSON values by their meaning, for min and max. Numbers are compared exactly, however they are written.
 * Strings are compared by the UTF-8 bytes of their characters. An escaped character equals the same character without
 * the escape. A comparison works in steps, because values may be long. Pure.
 */
#ifndef FANTAIL_COORDINATOR_ANSWERS_VALUE_COMPARE_H
#define FANTAIL_COORDINATOR_ANSWERS_VALUE_COMPARE_H

#include "common/base/buf.h"
#include "common/json/json_walk.h"

/* A number that is read in steps: its sign, its digits, and the power of ten of its first nonzero digit. The offsets
 * count from the start of the text of the number. */
struct decimal {
    size_t read; /* how many bytes were read; the text's length if all were read */
    bool negative, in_exponent, exponent_negative;
    size_t first, point, end; /* the first nonzero digit, the point, the end of the digits; SIZE_MAX: not found */
    size_t last;              /* the last nonzero digit */
    int64_t exponent;         /* the exponent in the text */
};

void decimal_init(struct decimal *d);
/* Reads at most *budget bytes, and lowers *budget by the number of bytes that it has read. Returns whether the number
 * has been read completely. */
bool decimal_read(struct decimal *d, struct json_slice number, size_t *budget);
/* Returns the double that is nearest to the number. Call it only after decimal_read() has returned true. */
double decimal_to_double(const struct decimal *d, struct json_slice number);

struct value_compare {
    int order; /* the result: a negative number, 0 or a positive number */
    struct decimal a, b;
    /* Positions in the two texts. For strings, a position also has the decoded bytes of an escaped character. */
    struct compare_place {
        size_t at;
        bool begun;
        unsigned char bytes[4];
        uint8_t n, used;
    } x, y;
    struct buf character; /* an escaped character */
};

/* Begins a comparison. Before the first comparison, the struct must be zeroed. */
void value_compare_init(struct value_compare *c);
void value_compare_release(struct value_compare *c);
/* Compares two valid JSON numbers, or two valid JSON strings. Stops after about *budget bytes, and lowers *budget by
 * what it has read. Returns whether c->order is known. If c->order is not known yet, call this function again with the
 * same values, whose addresses may differ. The order of numbers is exact for exponents of up to 10^17. In a string, a
 * lone surrogate is compared as U+FFFD. */
bool value_compare_step(struct value_compare *c, struct json_slice a, struct json_slice b, size_t *budget);

#endif
