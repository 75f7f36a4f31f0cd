#include "common/loop/progress.h"

_Thread_local uint64_t progress_count;
