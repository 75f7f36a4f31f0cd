/* The folder of --results. fantail-host-exec writes the files in it (hosts/runs/result_files.h). */
#ifndef FANTAIL_CLI_RUNS_RESULTS_DIR_H
#define FANTAIL_CLI_RUNS_RESULTS_DIR_H

#include "common/base/base.h"

/* Makes the folder, unless it exists. If `raw` is true, the path of the folder may have any bytes. If the folder cannot
 * be used, returns false and writes a sentence to err. */
MUST_CHECK bool results_dir_make(const char *path, bool raw, char *err, size_t err_size);

#endif
