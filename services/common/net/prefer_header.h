/*
 * Reads the header Prefer (RFC 7240). A pure module.
 *
 * Unknown preferences and invalid values are ignored, as the RFC requires. If a preference is given twice, the first
 * one counts. Parameters after a semicolon are ignored.
 */
#ifndef FANTAIL_COMMON_NET_PREFER_HEADER_H
#define FANTAIL_COMMON_NET_PREFER_HEADER_H

#include "common/base/buf.h"

struct preferences {
    bool respond_async;
    bool waits; /* wait_s was given */
    unsigned wait_s;
};

/* Reads the preferences. `text` has the values of all Prefer headers of a request, joined by commas. If the client asks
 * for a longer wait, wait_s becomes `wait_most_s`. */
struct preferences preferences_read(const char *text, unsigned wait_most_s);
/* Appends the preferences as a value of Preference-Applied: "respond-async, wait=10". */
void preferences_write(struct buf *out, const struct preferences *p);

#endif
