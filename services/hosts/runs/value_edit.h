/*
 * The placeholders of --plus that change a value. Regular expressions have the syntax of grep -E. The names and their
 * meaning are those of GNU parallel. Pure.
 *
 *     {:-TEXT}       TEXT if the value is empty or 0
 *     {:2}, {:2:3}   without its first 2 bytes; only the 3 bytes after the first 2
 *     {#RE}, {##RE}  without the shortest, or the longest, beginning that RE matches
 *     {%RE}, {%%RE}  the same for the end
 *     {/RE/TEXT}     TEXT instead of the first match; {//RE/TEXT}: instead of each match
 *     {/#RE/TEXT}    TEXT instead of a match at the beginning; {/%RE/TEXT}: at the end
 *     {^RE}, {^^RE}  the beginning, or each match, in upper case; {,RE}, {,,RE}: in lower case
 */
#ifndef FANTAIL_HOSTS_RUNS_VALUE_EDIT_H
#define FANTAIL_HOSTS_RUNS_VALUE_EDIT_H

#include "common/base/buf.h"

struct value_edit;

/* Reads the rest of a placeholder after its "{" and its number, including its "}". Returns NULL if the text is not such
 * a placeholder, or if its regular expression is wrong. Sets *end to the end of the placeholder. */
struct value_edit *value_edit_parse(const char *at, const char **end);
void value_edit_free(struct value_edit *e);
/* Appends the changed value. The byte after the value must be readable. */
void value_edit_apply(const struct value_edit *e, const char *value, size_t len, struct buf *out);

#endif
