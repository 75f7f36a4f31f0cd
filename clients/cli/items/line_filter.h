/*
 * Leaves out the lines of the items that an earlier run has done. The lines come in pieces, which may end anywhere.
 * Pure.
 */
#ifndef FANTAIL_CLI_ITEMS_LINE_FILTER_H
#define FANTAIL_CLI_ITEMS_LINE_FILTER_H

#include "cli/base/done_set.h"

struct line_filter {
    const struct done_set *done; /* borrowed; NULL: no line is left out */
    bool skip_blank;             /* blank lines are not items */
    bool is_item;                /* the line is known to be an item */
    uint64_t index;              /* of the line's item, or of the next item if the line is blank */
};

/* Removes the lines of done items from a piece, in place. Returns how many bytes remain. If blank lines are not items,
 * a blank line may be removed too. */
size_t line_filter_keep(struct line_filter *f, char *data, size_t len);
/* Returns whether the current line is left out. */
bool line_filter_drops(const struct line_filter *f);

#endif
