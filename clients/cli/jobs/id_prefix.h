/* Prefixes of job ids, which users type instead of complete ids. Pure. */
#ifndef FANTAIL_CLI_JOBS_ID_PREFIX_H
#define FANTAIL_CLI_JOBS_ID_PREFIX_H

#include "common/base/base.h"

/* At least this many characters of an id are shown: the part that is the time in ms at which the job was made. */
#define ID_PREFIX_SHOWN 13

/* Returns whether the word can be an id or the beginning of an id. */
bool id_prefix_is_valid(const char *word);
bool id_prefix_is_whole(const char *word);
bool id_prefix_matches(const char *prefix, const char *id);
/* Returns true if no id that comes after this id in a list can have the prefix. A list begins with the newest id, which
 * is the largest one. */
bool id_prefix_is_passed(const char *prefix, const char *id);
/* Returns how many characters are enough to tell the two ids apart; at least ID_PREFIX_SHOWN. */
size_t id_prefix_length(const char *id, const char *other);

#endif
