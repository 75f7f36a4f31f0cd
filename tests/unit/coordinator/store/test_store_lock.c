/* Only one process at a time can use the file of a store. */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/coordinator/store/store_harness.h"

/* Starts a process that opens the store, and returns when the store is open. */
static pid_t hold(const struct shop *s)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t holder = fork();
    if (holder == 0) {
        struct shop own = *s;
        uv_loop_init(&own.loop);
        shop_open(&own);
        if (write(ready[1], "x", 1) == 1) pause();
        _exit(1);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return holder;
}

static void assert_refused_by(struct shop *s, pid_t holder)
{
    char pid_text[32];
    snprintf(pid_text, sizeof pid_text, "(pid %d)", (int)holder);
    shop_refused(s, pid_text);
}

Test(store_lock, a_second_process_is_refused_until_the_first_one_is_killed)
{
    struct shop s;
    shop_init(&s);
    pid_t holder = hold(&s);
    assert_refused_by(&s, holder);
    kill(holder, SIGKILL);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_release(&s);
    assert_no_leaks();
}

/* The link `link.db` refers to the link `also.db`, and `also.db` refers to `jobs.db`, which does not exist at first.
 * There is also a link to the folder of these files. */
Test(store_lock, a_symbolic_link_is_another_name_of_the_same_store)
{
    char link_path[200], also[200], folder_link[200];
    struct stat st;
    struct shop s, by_link;
    shop_init(&s);
    snprintf(link_path, sizeof link_path, "%s/link.db", s.folder);
    snprintf(also, sizeof also, "%s/also.db", s.folder);
    snprintf(folder_link, sizeof folder_link, "%s/here", s.folder);
    cr_assert_eq(symlink("also.db", link_path), 0);
    cr_assert_eq(symlink(s.path, also), 0);
    cr_assert_eq(symlink(".", folder_link), 0);
    by_link = s;
    snprintf(by_link.path, sizeof by_link.path, "%s/here/link.db", s.folder);
    pid_t holder = hold(&by_link);
    cr_assert(lstat(s.path, &st) == 0 && S_ISREG(st.st_mode), "the link's target is made");
    cr_assert(lstat(also, &st) == 0 && S_ISLNK(st.st_mode), "the link stays");
    assert_refused_by(&s, holder);
    kill(holder, SIGKILL);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
    holder = hold(&s);
    assert_refused_by(&by_link, holder);
    kill(holder, SIGKILL);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
    shop_release(&s);
    assert_no_leaks();
}

Test(store_lock, a_symbolic_link_to_itself_is_refused)
{
    struct shop s;
    shop_init(&s);
    cr_assert_eq(symlink("jobs.db", s.path), 0);
    shop_refused(&s, strerror(ELOOP));
    shop_release(&s);
    assert_no_leaks();
}
