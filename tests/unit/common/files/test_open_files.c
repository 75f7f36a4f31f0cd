#include <criterion/criterion.h>
#include <sys/resource.h>

#include "common/files/open_files.h"

static struct rlimit limit_now(void)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit;
}

Test(open_files, a_low_soft_limit_is_raised_and_restored_for_children)
{
    struct rlimit low = limit_now();
    low.rlim_cur = 200;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    cr_assert_eq(open_files_raise(), low.rlim_max);
    cr_assert_eq(limit_now().rlim_cur, low.rlim_max);
    open_files_restore();
    cr_assert_eq(limit_now().rlim_cur, 200);
    cr_assert_eq(limit_now().rlim_max, low.rlim_max);
}

Test(open_files, a_limit_that_cannot_be_raised_stays)
{
    struct rlimit low = {300, 300};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    cr_assert_eq(open_files_raise(), 300);
    open_files_restore();
    cr_assert_eq(limit_now().rlim_cur, 300);
}

Test(open_files, a_limit_that_is_too_low_for_a_service_is_named)
{
    char err[200] = "";
    struct rlimit low = {80, 80};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    cr_assert(open_files_suffice(err, sizeof err), "%s", err);
    low.rlim_cur = low.rlim_max = 79;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    cr_assert_not(open_files_suffice(err, sizeof err));
    cr_assert_str_eq(err, "the limit on open files is 79, and a service needs at least 80; raise it (ulimit -n)");
}

Test(open_files, a_low_limit_leaves_room_for_other_files)
{
    cr_assert_eq(open_files_connections(1 << 20, 12000), 12000);
    cr_assert_eq(open_files_connections(20000, 12000), 12000);
    cr_assert_eq(open_files_connections(1024, 12000), 704);
    cr_assert_eq(open_files_connections(32, 12000), 16);
    cr_assert_eq(open_files_connections(1024, 2), 2);
    cr_assert_eq(open_files_connections(RLIM_INFINITY, 12000), 12000);
}
