/* The names of columns, from the first record of the input, and their placeholders {name}. Pure. */
#ifndef FANTAIL_CLI_RECORDS_HEADER_NAMES_H
#define FANTAIL_CLI_RECORDS_HEADER_NAMES_H

#include "cli/records/record.h"

#define HEADER_NAMES_MAX 10000 /* the caller refuses a header that has more */

/* A zeroed struct has no names. */
struct header_names {
    struct input_record names;
};

void header_names_release(struct header_names *h);
/* Adds the values of the record as the names of the next columns. */
void header_names_add(struct header_names *h, const struct input_record *r);
/* Returns the index of the first name that an earlier column also has. If there is none, returns the number of names.
 */
size_t header_names_repeated(const struct header_names *h);
/* In the placeholders {name}, {name.}, {name/}, {name//} and {name/.}, replaces the name with the number of its column.
 * Returns a new string; NULL: the word has no such placeholder. */
MUST_CHECK char *header_names_number(const struct header_names *h, const char *word);

#endif
