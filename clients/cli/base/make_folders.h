/* Makes a folder together with its parent folders. */
#ifndef FANTAIL_CLI_BASE_MAKE_FOLDERS_H
#define FANTAIL_CLI_BASE_MAKE_FOLDERS_H

#include <sys/stat.h>

#include "common/base/base.h"

/* Makes the folder and its parent folders, except those that already exist. After the call, `path` is unchanged.
 * Returns false, with errno, on failure. A file with this name counts as an existing folder. */
MUST_CHECK bool make_folders(char *path, mode_t mode);

#endif
