#include "common/base/start_memory.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/base.h"

typedef ElfW(Phdr) program_header;

/* Accepts only segments that were never writable. Other segments may differ from the file, even if they were made
 * read-only after relocation. */
static bool is_code(const program_header *segment)
{
    return segment->p_type == PT_LOAD && (segment->p_flags & (PF_X | PF_W)) == PF_X;
}

static int release_object(struct dl_phdr_info *object, size_t size, void *unused)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const program_header *segment = &object->dlpi_phdr[i];
        if (!is_code(segment)) continue;
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
        begin &= ~(page - 1);
        madvise((void *)begin, end - begin, MADV_DONTNEED); /* failing does no harm */
    }
    return 0;
}

void start_memory_release(void)
{
    dl_iterate_phdr(release_object, NULL);
}
