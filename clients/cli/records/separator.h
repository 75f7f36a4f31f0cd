/*
 * The separator of columns: a regular expression (POSIX, extended), in which \t \n \r \f \d \D \s \S \w \W mean what
 * they mean in Perl. A separator without special characters is searched for as plain bytes. Pure.
 */
#ifndef FANTAIL_CLI_RECORDS_SEPARATOR_H
#define FANTAIL_CLI_RECORDS_SEPARATOR_H

#include <regex.h>

#include "cli/records/record.h"

struct separator {
    struct buf plain; /* the bytes of a plain separator */
    bool is_regex;
    bool trims_left, trims_right; /* white space around each column is left out. The caller sets both members */
    regex_t regex;
};

/* Returns false with a sentence in `err` if the pattern is wrong, or if it matches the empty text. */
MUST_CHECK bool separator_init(struct separator *s, const char *pattern, char *err, size_t err_size);
/* A zeroed struct can be released too. */
void separator_release(struct separator *s);
/* Appends one value. Leaves out the white space at its left end if `left` is set, and at its right end if `right` is
 * set. */
void separator_add_trimmed(struct input_record *r, const char *data, size_t len, bool left, bool right);
/* Appends the columns of the line to the record, at least one. After RECORD_VALUES_MAX columns, the rest of the line
 * becomes one more column. */
void separator_cut(const struct separator *s, const char *line, size_t len, struct input_record *r);

#endif
