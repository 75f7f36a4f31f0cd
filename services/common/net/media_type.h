/*
 * Reads the headers Content-Type and Accept. A pure module.
 *
 * A form may have several names. NDJSON, for example, is also called JSON Lines. The names of a form begin with
 * application/ or text/, and "x-" may follow. Case is ignored. Parameters other than q and charset are ignored.
 */
#ifndef FANTAIL_COMMON_NET_MEDIA_TYPE_H
#define FANTAIL_COMMON_NET_MEDIA_TYPE_H

#include "common/base/base.h"

enum media_form {
    MEDIA_NONE,   /* there is no header, or an empty one */
    MEDIA_JSON,   /* application/json, text/json */
    MEDIA_NDJSON, /* ndjson, jsonl, jsonlines, json-lines and ldjson */
    MEDIA_TEXT,   /* text/plain */
    MEDIA_FORM,   /* application/x-www-form-urlencoded; curl -d sends this type by default for any body */
    MEDIA_OTHER
};

/* Returns the form that a Content-Type header names. The header may be NULL. */
enum media_form media_type_form(const char *content_type);
/* Returns whether a Content-Type header names exactly this type. If there is no header (NULL), returns false. */
bool media_type_is(const char *content_type, const char *type);

#define MEDIA_CHARSET_SIZE 64
/* Returns true if text with this Content-Type header is UTF-8: the header has no charset, or the charset is utf-8 or
 * us-ascii. If the header has another charset, writes the name of this charset to `charset`; a long name is cut off. */
bool media_type_is_utf8(const char *content_type, char charset[MEDIA_CHARSET_SIZE]);

/* Returns true if an Accept header names this form, and does not name `other` with a higher q. Wildcards name neither
 * form. If there is no header (NULL), returns false. */
bool media_type_prefers(const char *accept, enum media_form form, enum media_form other);

#endif
