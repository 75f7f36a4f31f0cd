#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/start_memory.h"

/* Returns the resident memory of executable mappings, in KiB. */
static long resident_code(void)
{
    char line[1024], rights[8];
    long total = 0, rss;
    bool is_code = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert(maps);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%*x-%*x %7s", rights) == 1) is_code = strcmp(rights, "r-xp") == 0;
        if (is_code && sscanf(line, "Rss: %ld", &rss) == 1) total += rss;
    }
    fclose(maps);
    return total;
}

Test(start_memory, code_leaves_and_comes_back_when_it_is_called)
{
    long before = resident_code();
    start_memory_release();
    long after = resident_code();
    cr_assert_lt(after, before / 2, "%ld KiB of %ld", after, before);
}
