/* The beginnings of job ids, which people type instead of whole ids. Pure. */
#ifndef FANTAIL_CLI_JOBS_ID_PREFIX_H
#define FANTAIL_CLI_JOBS_ID_PREFIX_H

#include "common/base/base.h"

/* The first characters of an id are the time in milliseconds at which the job was made. */
#define ID_PREFIX_SHOWN 13

/* Returns whether the word can be an id or the beginning of one. */
bool id_prefix_is_valid(const char *word);
bool id_prefix_is_whole(const char *word);
bool id_prefix_matches(const char *prefix, const char *id);
/* In a list, the newest id comes first, and it is the largest. Returns whether no id with the prefix can come after
 * this id. */
bool id_prefix_is_passed(const char *prefix, const char *id);
/* Returns how many characters tell the two ids apart, at least ID_PREFIX_SHOWN. */
size_t id_prefix_length(const char *id, const char *other);

#endif
