/* The placeholders of a command as the user writes them: options such as -I give a placeholder another text. Pure. */
#ifndef FANTAIL_CLI_PARALLEL_PLACE_WORDS_H
#define FANTAIL_CLI_PARALLEL_PLACE_WORDS_H

#include "common/base/base.h"

#define PLACE_WORDS_FORMS 6

struct place_words {
    const char *value; /* stands for {}, and is not changed */
    struct {
        const char *given, *standard;
    } forms[PLACE_WORDS_FORMS];
    bool named; /* {NAME} is a placeholder, for any NAME without white space */
    bool plus;  /* whether the placeholders of --plus are replaced */
};

/* Returns the text with each given placeholder replaced by the standard one. The caller frees it. */
char *place_words_standard(const struct place_words *p, const char *text);
/* Returns whether the first word of the shell code has a placeholder. If so, the values are code, as in GNU parallel.
 * `code` has the standard placeholders. */
bool place_words_begin_code(const struct place_words *p, const char *code);

#endif
