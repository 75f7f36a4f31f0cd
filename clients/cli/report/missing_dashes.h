/* Suggests a command line to a user who gave the name of a program as a task, and forgot the -- before it. */
#ifndef FANTAIL_CLI_REPORT_MISSING_DASHES_H
#define FANTAIL_CLI_REPORT_MISSING_DASHES_H

#include "common/base/buf.h"
#include "common/service/option.h"

/* If `task` is a program in PATH, appends the words with -- before the program, such as `fantail map -j 4 -- gzip -k
 * ::: a b`. Otherwise appends nothing. `task` is one of the words. The words before it are options of fantail; the long
 * options of `spec` that come after it are moved before the --. If no ::: was given, and the last words are files, :::
 * is put before these files. A long command line is cut. */
void missing_dashes_add(struct buf *line, char *const *words, const char *task, const struct option_spec *spec);

#endif
