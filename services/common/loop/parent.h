/* Makes this process end when its parent ends. */
#ifndef FANTAIL_COMMON_LOOP_PARENT_H
#define FANTAIL_COMMON_LOOP_PARENT_H

#include <sys/types.h>

#include "common/base/base.h"

/* From now on this process gets SIGTERM when the thread that started it ends, even if that thread's process is killed.
 * `parent` is the process ID of the parent; 0: unknown. If the ID is known, this function also detects that the parent
 * ended before the call. On failure, or if the parent has ended, returns false, with a sentence in err. */
MUST_CHECK bool parent_tie(pid_t parent, char *err, size_t err_size);

#endif
