#include <criterion/criterion.h>
#include <errno.h>

#include "coordinator/spill/byte_log.h"
#include "unit/leaks.h"

Test(byte_log, reads_back_what_was_appended_across_memory_and_file)
{
    struct byte_log l;
    char all[1000], got[1000];
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)('a' + i % 26);
    byte_log_init(&l, &(struct spill_dir){.path = "/tmp"}, 100);
    for (size_t at = 0; at < sizeof all; at += 50) cr_assert(byte_log_append(&l, all + at, 50));
    cr_assert_eq(byte_log_length(&l), sizeof all);
    cr_assert(l.file.fd >= 0);
    for (size_t at = 0; at < sizeof all; at += 37) {
        ssize_t n = byte_log_read(&l, at, got, 61);
        cr_assert_eq((size_t)n, sizeof all - at < 61 ? sizeof all - at : 61);
        cr_assert_eq(memcmp(got, all + at, (size_t)n), 0);
    }
    byte_log_release(&l);
    assert_no_leaks();
}

Test(byte_log, a_refusing_disk_is_an_error_that_stays)
{
    struct byte_log l;
    byte_log_init(&l, &(struct spill_dir){.path = "/nowhere/at/all"}, 4);
    cr_assert(byte_log_append(&l, "1234", 4));
    cr_assert_not(byte_log_append(&l, "5", 1));
    cr_assert_eq(l.file.error, ENOENT);
    cr_assert_not(byte_log_append(&l, "6", 1));
    byte_log_release(&l);
    byte_log_release(&l);
    assert_no_leaks();
}
