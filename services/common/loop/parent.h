/* Ties the life of this process to that of its parent. */
#ifndef FANTAIL_COMMON_LOOP_PARENT_H
#define FANTAIL_COMMON_LOOP_PARENT_H

#include <sys/types.h>

#include "common/base/base.h"

/* From now on this process gets SIGTERM when the thread that started it ends, also if the whole parent is killed. If
 * `parent`, the process ID of the parent, is known, this works even if the parent ended before this call; 0: unknown.
 * On failure, and if the parent has ended, it returns false, with a sentence in err. */
MUST_CHECK bool parent_tie(pid_t parent, char *err, size_t err_size);

#endif
