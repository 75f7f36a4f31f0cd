/* Makes a folder together with its parent folders. */
#ifndef FANTAIL_CLI_BASE_MAKE_FOLDERS_H
#define FANTAIL_CLI_BASE_MAKE_FOLDERS_H

#include <sys/stat.h>

#include "common/base/base.h"

/* Makes the folder, unless it is there, and the missing folders above it. `path` is the same after the call. Returns
 * false, with errno, on failure. A file with this name counts as a folder that is there. */
MUST_CHECK bool make_folders(char *path, mode_t mode);

#endif
