/* The folder of --results. fantail-host-exec writes the files in it (hosts/runs/result_files.h). */
#ifndef FANTAIL_CLI_RUNS_RESULTS_DIR_H
#define FANTAIL_CLI_RUNS_RESULTS_DIR_H

#include "common/base/base.h"

/* Makes the folder, unless it is there. `raw`: its path may have any bytes. Returns false with a sentence in err if it
 * cannot be used. */
MUST_CHECK bool results_dir_make(const char *path, bool raw, char *err, size_t err_size);

#endif
