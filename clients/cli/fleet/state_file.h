/* The files that fantail keeps for the user between runs. */
#ifndef FANTAIL_CLI_FLEET_STATE_FILE_H
#define FANTAIL_CLI_FLEET_STATE_FILE_H

#include "common/base/base.h"

/* Writes the path of the file `name` in the user's state folder, $XDG_STATE_HOME/fantail or ~/.local/state/fantail, and
 * makes the folder (XDG Base Directory Specification). On failure it returns false and writes the cause to `err`. */
MUST_CHECK bool state_file_path(const char *name, char *path, size_t path_size, char *err, size_t err_size);

#endif
