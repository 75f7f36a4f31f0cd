/* The search for a command's program. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "cli/base/program.h"

Test(program, a_name_is_searched_in_path_and_a_path_is_not)
{
    const char *why = "";
    setenv("PATH", "/nowhere::/bin", 1);
    cr_assert(program_can_run("sh", &why));
    cr_assert(program_can_run("/bin/sh", &why));
    setenv("PATH", "/nowhere", 1);
    cr_assert_not(program_can_run("sh", &why));
    cr_assert(strstr(why, "PATH"), "%s", why);
    cr_assert(program_can_run("/bin/sh", &why));
}

Test(program, the_reason_names_what_is_wrong)
{
    const char *why = "";
    cr_assert_not(program_can_run("/bin", &why));
    cr_assert_str_eq(why, strerror(EISDIR));
    cr_assert_not(program_can_run("/etc/passwd", &why));
    cr_assert_str_eq(why, strerror(EACCES));
    cr_assert_not(program_can_run("/nowhere/sh", &why));
    cr_assert_str_eq(why, strerror(ENOENT));
    cr_assert_not(program_can_run("", &why));
}
