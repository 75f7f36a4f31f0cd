#include "common/base/spare_memory.h"

#include <malloc.h>

#include "common/base/limits.h"

/* Freed memory up to this size stays for the next job. */
#define KEEP_BYTES (32 * (size_t)MIB)

void spare_memory_return(void)
{
    if (mallinfo2().fordblks > KEEP_BYTES) malloc_trim(KEEP_BYTES / 2);
}
