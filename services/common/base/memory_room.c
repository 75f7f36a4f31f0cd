#include "common/base/memory_room.h"

#include <sys/mman.h>

#include "common/base/spare_memory.h"

/* First asks the kernel for address space, because allocating and freeing a large block with malloc() would change how
 * malloc() treats later large blocks. If the kernel has no address space left, malloc() may still have enough freed
 * memory, so malloc() is tried too. */
static bool probe_kernel(size_t bytes)
{
    void *space = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space != MAP_FAILED) {
        munmap(space, bytes);
        return true;
    }
#ifdef __SANITIZE_ADDRESS__
    return false; /* with this sanitizer, malloc() ends the program instead of returning NULL */
#else
    void *block = malloc(bytes);
    bool has_block = block != NULL;
    free(block);
    return has_block;
#endif
}

bool (*memory_probe)(size_t bytes) = probe_kernel;

bool memory_has_room_in_thread(size_t bytes)
{
    if (bytes < MEMORY_SMALL_BYTES) return true;
    return bytes <= SIZE_MAX / 2 && memory_probe(bytes + MEMORY_RESERVE_BYTES);
}

/* Like memory_probe(). If there is no room, gives freed memory back to the kernel and probes again. */
static bool probe(size_t bytes)
{
    if (memory_probe(bytes)) return true;
    if (!spare_memory_waits()) return false;
    spare_memory_free_waiting();
    return memory_probe(bytes);
}

bool memory_has_room(size_t bytes)
{
    if (bytes < MEMORY_SMALL_BYTES) return true;
    return bytes <= SIZE_MAX / 2 && probe(bytes + MEMORY_RESERVE_BYTES);
}

bool memory_has_reserve(void)
{
    return probe(MEMORY_RESERVE_BYTES / 2);
}

unsigned memory_blocks_that_fit(unsigned wanted, unsigned least, size_t bytes)
{
    unsigned n = wanted;
    while (n > least && !memory_has_room(2 * bytes * n)) n -= n / 16 + 1;
    return n > least || wanted < least ? n : least;
}
