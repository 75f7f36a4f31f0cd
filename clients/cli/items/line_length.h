/*
 * The length of the command line of an item. The words of the command are measured before there are values. A
 * placeholder such as {/} counts as long as the whole value. Pure.
 */
#ifndef FANTAIL_CLI_ITEMS_LINE_LENGTH_H
#define FANTAIL_CLI_ITEMS_LINE_LENGTH_H

#include "cli/records/record.h"

/* A command line has `fixed` bytes, and for each value `each` bytes plus `times` times the length of the value. */
struct line_length {
    size_t fixed, each, times;
    bool quoted; /* the values are quoted for a shell. The caller sets it */
};

struct line_words {
    char *const *words; /* NULL-ended */
    const char *marker; /* the placeholder for the item; NULL: {} */
    bool repeats;       /* a word with a placeholder is repeated for each value; if not, the values stand in one word */
    bool quotes_words;  /* each word is quoted for a shell after the values have been put into it */
    bool plus;          /* whether the placeholders of --plus are replaced */
};

void line_length_measure(struct line_length *l, const struct line_words *w);
/* Returns how many bytes the values of the record add to the line. */
size_t line_length_of(const struct line_length *l, const struct input_record *r);

#endif
