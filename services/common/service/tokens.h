/*
 * Bearer tokens out of a file: one a line, blank lines and lines that begin with # left out. Several, so that a new one
 * is known before the old one goes. A token has the characters of RFC 6750: letters, digits, -._~+/ and = at its end.
 *
 * Each is kept padded to one length, and comparing looks at all bytes of all of them: how long it takes tells nothing.
 * No message quotes a token. Owner: whoever embeds it; a zeroed set is empty, and releasing it is fine.
 */
#ifndef FANTAIL_COMMON_SERVICE_TOKENS_H
#define FANTAIL_COMMON_SERVICE_TOKENS_H

#include "common/base/base.h"
#include "common/base/limits.h"

struct tokens {
    char (*list)[LIMIT_TOKEN_BYTES + 1];
    size_t count;
};

/* False with a sentence in err, which names the line: a token that is none, too short or too long, or no token at all.
 * t is then empty. What it held before is not released. */
MUST_CHECK bool tokens_parse(struct tokens *t, const char *text, size_t len, char *err, size_t err_size);
/* The same for a file. The sentence begins with its path. */
MUST_CHECK bool tokens_read(struct tokens *t, const char *path, char *err, size_t err_size);
MUST_CHECK bool tokens_has(const struct tokens *t, const char *token, size_t len);
/* The one to present; NULL when there is none. Borrowed. */
const char *tokens_first(const struct tokens *t);
/* Also overwrites them. */
void tokens_release(struct tokens *t);

/* Whether these bytes have the form of a token. */
bool token_is_well_formed(const char *text, size_t len);

#endif
