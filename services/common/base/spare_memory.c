#include "common/base/spare_memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/limits.h"

#define KEEP_BYTES      (32 * (size_t)MIB) /* bytes of freed memory that a service keeps while it works */
#define KEEP_IDLE_BYTES (4 * (size_t)MIB)

/* A waiting block stores this struct in its first bytes. */
struct waiting {
    struct waiting *next;
    size_t left; /* bytes of the block that have not been given back to the kernel */
};

static bool waits_for_steps;
static struct waiting *first;

void spare_memory_start(void)
{
    mallopt(M_MMAP_THRESHOLD, (int)SPARE_MEMORY_LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, 16 * (int)MIB);
    waits_for_steps = true;
}

void spare_memory_stop(void)
{
    waits_for_steps = false;
    spare_memory_free_waiting();
}

void spare_memory_free(void *block)
{
    size_t size = waits_for_steps && block ? malloc_usable_size(block) : 0;
    if (size < SPARE_MEMORY_LARGE_BYTES) {
        free(block);
        return;
    }
    struct waiting *w = block;
    *w = (struct waiting){first, size};
    first = w;
}

bool spare_memory_waits(void)
{
    return first != NULL;
}

static void free_first(void)
{
    struct waiting *w = first;
    first = w->next;
    free(w);
}

/* Gives the block's whole pages between the offsets `from` and w->left back to the kernel, except the page that holds
 * `w`. */
static void give_back(struct waiting *w, size_t from)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), base = (uintptr_t)w;
    uintptr_t least = base + sizeof *w, begin = base + from, end = (base + w->left) & ~(page - 1);
    if (begin < least) begin = least;
    begin = (begin + page - 1) & ~(page - 1);
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED); /* a failure does no harm: free() follows */
    w->left = from;
}

void spare_memory_step(void)
{
    if (!first) return;
    give_back(first, first->left > SPARE_MEMORY_STEP_BYTES ? first->left - SPARE_MEMORY_STEP_BYTES : 0);
    if (first->left == 0) free_first();
}

void spare_memory_free_waiting(void)
{
    while (first) free_first();
}

void spare_memory_return(size_t keep_bytes)
{
    if (mallinfo2().fordblks > keep_bytes) malloc_trim(keep_bytes / 2);
}

void spare_memory_work_ended(struct spare_memory_plan *p, uint64_t now_ns)
{
    p->is_due = true;
    p->freed_ns = now_ns;
}

/* Memory is not returned each time a piece of work ends, because the next work usually reuses the memory soon. */
bool spare_memory_tick(struct spare_memory_plan *p, bool idle, uint64_t now_ns)
{
    if (!p->is_due) return false;
    bool rests = idle && now_ns >= p->freed_ns + SPARE_MEMORY_GAP_NS;
    if (!rests && now_ns < p->returned_ns + SPARE_MEMORY_GAP_NS) return false;
    spare_memory_return(rests ? KEEP_IDLE_BYTES : KEEP_BYTES);
    p->returned_ns = now_ns;
    p->is_due = !rests;
    return true;
}
