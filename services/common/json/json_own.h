/*
 * Checks JSON texts whose meaning fantail defines, such as task.json. All names in an object must differ. No string may
 * contain a NUL character or a lone surrogate. Without these rules, two programs could interpret the same text
 * differently, and a string could be cut or changed when it becomes a C string. Items are not checked, because their
 * meaning is up to the user. A pure module.
 */
#ifndef FANTAIL_COMMON_JSON_JSON_OWN_H
#define FANTAIL_COMMON_JSON_JSON_OWN_H

#include "common/base/base.h"
#include "common/json/json_walk.h"

/* Checks a valid JSON text, down to eight levels. On a fault, returns false and sets *offset to the position of the
 * name or string, and *error to a static sentence. */
MUST_CHECK bool json_own_check(const char *text, size_t len, size_t *offset, const char **error);
/* Checks only the names of one object, not its values. A text that is a string is checked as in json_own_check(). All
 * other texts that are not objects are accepted. */
MUST_CHECK bool json_own_check_names(const char *text, size_t len, size_t *offset, const char **error);
/* Returns NULL if a valid JSON string can be decoded without changing its text. If the text would change, returns the
 * reason, as a static sentence. */
const char *json_string_fault(struct json_slice string);

#endif
