/*
 * Bearer tokens from a file, one on each line. Blank lines and lines that begin with # are skipped. A file may have
 * several tokens, so that a new token can be valid before the old one is removed. A token consists of the characters of
 * RFC 6750: letters, digits, -._~+/, and = at its end.
 *
 * All tokens are padded to the same length, and a comparison reads all bytes of all tokens, so that its duration
 * reveals nothing. No message quotes a token. Owner: the struct that embeds it. A zeroed set is empty, and may be
 * released.
 */
#ifndef FANTAIL_COMMON_SERVICE_TOKENS_H
#define FANTAIL_COMMON_SERVICE_TOKENS_H

#include "common/base/base.h"
#include "common/base/limits.h"

struct tokens {
    char (*list)[LIMIT_TOKEN_BYTES + 1];
    size_t count;
};

/* Reads the lines of a text into t. Does not release the former content of t. If a line is not a valid token or there
 * is no token, leaves t empty and returns false, with a sentence in err. */
MUST_CHECK bool tokens_parse(struct tokens *t, const char *text, size_t len, char *err, size_t err_size);
/* Like tokens_parse(), for a file. The sentence in err begins with the path of the file. */
MUST_CHECK bool tokens_read(struct tokens *t, const char *path, char *err, size_t err_size);
MUST_CHECK bool tokens_has(const struct tokens *t, const char *token, size_t len);
/* Returns the token to send to peers, or NULL if there is none. The string is borrowed. */
const char *tokens_first(const struct tokens *t);
/* Overwrites the tokens in memory, and then releases them. */
void tokens_release(struct tokens *t);

/* Returns whether the text has the form of a token. */
bool token_is_well_formed(const char *text, size_t len);

#endif
