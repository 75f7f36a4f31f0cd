/*
 * Checks JSON texts of our own meaning, such as task.json: in each object the names must differ, and every string must
 * mean text without a NUL character and without half a surrogate pair. Otherwise two programs could read two meanings,
 * and text would be cut or replaced when it becomes a string of C. It does not look at items: these belong to the user.
 * A pure module.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_OWN_H
#define FANTAIL_COMMON_JSON_JSON_OWN_H

#include "common/base/base.h"
#include "common/json/json_walk.h"

/* Checks a valid text, eight levels deep. False: *offset is the place of the name or string, *error a static sentence.
 */
MUST_CHECK bool json_own_check(const char *text, size_t len, size_t *offset, const char **error);
/* Checks only the names of one object, and not its values. Other values are fine. */
MUST_CHECK bool json_own_check_names(const char *text, size_t len, size_t *offset, const char **error);
/* Why a valid JSON string cannot become text without a change, as a static sentence; NULL: it can. */
const char *json_string_fault(struct json_slice string);

#endif
