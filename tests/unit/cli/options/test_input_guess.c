/* What the beginning of a file tells about its form. */
#include "cli/options/input_guess.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/leaks.h"

static char folder[] = "/tmp/fantail-test-guess-XXXXXX";
static char path[sizeof folder + 20];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static struct record_options guess_text(const char *name, const char *text)
{
    struct record_options o = {0};
    FILE *f = fopen(in_folder(name), "we");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
    input_guess(&o, path);
    cr_assert_eq(unlink(path), 0);
    return o;
}

Test(input_guess, the_first_line_and_the_name_tell_the_form)
{
    cr_assert(mkdtemp(folder));
    cr_assert(guess_text("a", "[1,\n2]\n").array);
    cr_assert_not(guess_text("a", "[1,2]\n[3,4]\n").array);
    cr_assert_not(guess_text("a", "[1,2]\n").array);
    cr_assert(guess_text("a.json", "[1,2]\n").array);
    cr_assert(guess_text("a.csv", "[1,\n2]\n").csv);
    cr_assert_str_eq(guess_text("a.tsv", "").colsep, "\t");
    cr_assert_eq(rmdir(folder), 0);
    assert_no_leaks();
}

/* The next open() of the FIFO would come after its writer has already got a reader, which has gone. */
Test(input_guess, a_fifo_is_not_opened)
{
    struct record_options o = {0};
    char events[1000];
    cr_assert(mkdtemp(folder));
    cr_assert_eq(mkfifo(in_folder("fifo"), 0600), 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    cr_assert_geq(inotify_add_watch(watch, path, IN_OPEN), 0);
    input_guess(&o, path);
    cr_assert_lt(read(watch, events, sizeof events), 0, "the FIFO was opened");
    cr_assert_not(o.array);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_gt(read(watch, events, sizeof events), 0, "the watch sees that a FIFO is opened");
    close(fd);
    close(watch);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(folder), 0);
    assert_no_leaks();
}
