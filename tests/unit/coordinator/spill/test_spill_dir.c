/* The limit on the total size of all temporary files, and the removal of large files in steps. */
#include <criterion/criterion.h>
#include <errno.h>

#include "common/base/limits.h"
#include "coordinator/spill/spill_file.h"
#include "unit/leaks.h"

static struct spill_dir dir_of(uint64_t max_bytes)
{
    return (struct spill_dir){.path = "/tmp", .max_bytes = max_bytes};
}

Test(spill_dir, files_share_a_limit)
{
    struct spill_dir d = dir_of(10);
    struct spill_file a, b;
    spill_file_init(&a, &d);
    spill_file_init(&b, &d);
    cr_assert(spill_file_write(&a, 0, "123456", 6));
    cr_assert(spill_file_write(&b, 0, "1234", 4));
    cr_assert(spill_file_write(&a, 2, "xy", 2), "this write does not make the file longer");
    cr_assert_not(spill_file_write(&b, 4, "5", 1));
    cr_assert_eq(b.error, EDQUOT);
    cr_assert(strstr(spill_file_why(&b), "--max-spill-bytes"));
    char got[4];
    cr_assert(spill_file_read(&b, 0, got, 4), "what was written before can be read");
    spill_file_release(&b);
    cr_assert_eq(d.used_bytes, 6);
    cr_assert(spill_file_write(&a, 6, "7890", 4));
    spill_file_release(&a);
    cr_assert_eq(d.used_bytes, 0);
    assert_no_leaks();
}

Test(spill_dir, a_large_file_is_removed_in_steps_and_counts_until_then)
{
    struct spill_dir d = dir_of(0);
    struct spill_file f;
    uint64_t length = 100 * (uint64_t)MIB;
    spill_file_init(&f, &d);
    cr_assert(spill_file_write(&f, length - 1, "x", 1));
    spill_file_release(&f);
    cr_assert_eq(d.used_bytes, length);
    unsigned steps = 0;
    for (uint64_t before = d.used_bytes; spill_dir_step(&d); before = d.used_bytes, steps++)
        cr_assert_lt(d.used_bytes, before);
    cr_assert_gt(steps, 2);
    cr_assert_eq(d.used_bytes, 0);
    cr_assert_not(spill_dir_step(&d));
    assert_no_leaks();
}

Test(spill_dir, releasing_it_removes_what_is_left)
{
    struct spill_dir d = dir_of(0);
    struct spill_file f;
    spill_file_init(&f, &d);
    cr_assert(spill_file_write(&f, 100 * (uint64_t)MIB, "x", 1));
    spill_file_release(&f);
    spill_dir_release(&d);
    cr_assert_eq(d.used_bytes, 0);
    assert_no_leaks();
}
