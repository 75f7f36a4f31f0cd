#include "common/base/memory_room.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/spare_memory.h"

/* Without a limit, there is always address space for fewer bytes: a program has about 2^47 bytes of it. */
#define ALWAYS_BYTES ((size_t)1 << 40)

/* Returns whether the kernel refuses memory that it could not provide if all programs used all their memory
 * (vm.overcommit_memory = 2). If this is unknown, returns true. */
static bool kernel_is_strict(void)
{
    static int known; /* 0: not known, 1: no, 2: yes */
    int is_strict = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (is_strict) return is_strict == 2;
    char mode = '2';
    int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, &mode, 1) != 1) mode = '2';
        close(fd);
    }
    __atomic_store_n(&known, mode == '2' ? 2 : 1, __ATOMIC_RELAXED);
    return mode == '2';
}

static bool is_unlimited(__rlimit_resource_t resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

/* If there may be a limit, asks the kernel for address space, because allocating and freeing a large block with
 * malloc() would change how malloc() treats later large blocks. If the kernel has no address space left, malloc() may
 * still have enough freed memory, so malloc() is tried too. */
static bool probe_kernel(size_t bytes)
{
    if (bytes < ALWAYS_BYTES && !kernel_is_strict() && is_unlimited(RLIMIT_AS) && is_unlimited(RLIMIT_DATA))
        return true;
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
