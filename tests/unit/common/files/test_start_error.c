#include "common/files/start_error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/fantail-test-start-XXXXXX";

static void make_file(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    cr_assert_eq(unlink(path), 0);
}

TestSuite(start_error, .init = make_file, .fini = remove_file);

static void put(const char *text, size_t len)
{
    FILE *f = fopen(path, "we");
    cr_assert_eq(fwrite(text, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, 0755), 0);
}

/* Returns the errno of an execve() that fails. */
static int start(void)
{
    char *argv[] = {path, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, environ);
        _exit(errno);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static const char *why_not(void)
{
    static char why[START_ERROR_SIZE];
    start_error_write(why, path, start());
    return why;
}

Test(start_error, a_missing_interpreter_is_named_by_the_first_line_of_the_script)
{
    put("#! /no/such/program -x\necho\n", 28);
    cr_assert_str_eq(why_not(),
                     "its first line is \"#! /no/such/program -x\", and this interpreter cannot be run: No such "
                     "file or directory");
    put("#!/tmp\n", 7);
    cr_assert_str_eq(why_not(), "its first line is \"#!/tmp\", and this interpreter cannot be run: Permission denied");
}

Test(start_error, a_first_line_that_ends_with_cr_lf_is_named_as_the_cause)
{
    put("#!/bin/sh\r\necho\r\n", 17);
    cr_assert(strstr(why_not(), "its first line, \"#!/bin/sh\", ends with CR LF"), "%s", why_not());
}

Test(start_error, a_long_first_line_is_cut_off)
{
    char line[5000], why[START_ERROR_SIZE];
    memset(line, 'x', sizeof line);
    memcpy(line, "#!/", 3);
    put(line, sizeof line);
    start_error_write(why, path, ENOENT);
    cr_assert(strstr(why, "its first line is \"#!/xxx"), "%s", why);
}

Test(start_error, all_other_errors_have_the_words_of_the_system)
{
    char why[START_ERROR_SIZE];
    put("#!/bin/sh\n", 10);
    start_error_write(why, path, E2BIG);
    cr_assert_str_eq(why, strerror(E2BIG));
    start_error_write(why, "/no/such/file", ENOENT);
    cr_assert_str_eq(why, strerror(ENOENT));
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_str_eq(why_not(), strerror(EACCES));
    put("\x7f"
        "ELF",
        4);
    start_error_write(why, path, ENOENT);
    cr_assert(strstr(why, "the dynamic loader"), "%s", why);
}
