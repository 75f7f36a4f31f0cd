#include <criterion/criterion.h>
#include <errno.h>

#include "coordinator/answers/spill_log.h"
#include "unit/leaks.h"

Test(tape, reads_back_what_was_appended_across_memory_and_file)
{
    struct tape t;
    char all[1000], got[1000];
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)('a' + i % 26);
    tape_init(&t, "/tmp", 100);
    for (size_t at = 0; at < sizeof all; at += 50) cr_assert(tape_append(&t, all + at, 50));
    cr_assert_eq(tape_length(&t), sizeof all);
    cr_assert(t.file.fd >= 0);
    for (size_t at = 0; at < sizeof all; at += 37) {
        ssize_t n = tape_read(&t, at, got, 61);
        cr_assert_eq((size_t)n, sizeof all - at < 61 ? sizeof all - at : 61);
        cr_assert_eq(memcmp(got, all + at, (size_t)n), 0);
    }
    tape_release(&t);
    assert_no_leaks();
}

Test(tape, a_refusing_disk_is_an_error_that_stays)
{
    struct tape t;
    tape_init(&t, "/nowhere/at/all", 4);
    cr_assert(tape_append(&t, "1234", 4));
    cr_assert_not(tape_append(&t, "5", 1));
    cr_assert_eq(t.file.error, ENOENT);
    cr_assert_not(tape_append(&t, "6", 1));
    tape_release(&t);
    tape_release(&t);
    assert_no_leaks();
}
