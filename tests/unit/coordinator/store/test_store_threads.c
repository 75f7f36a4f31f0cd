/* A store whose threads cannot be started, or that cannot wake the loop. */
#include <dirent.h>
#include <dlfcn.h>
#include <sys/eventfd.h>

#include "unit/coordinator/store/store_harness.h"

static unsigned threads_allowed;
static bool has_eventfds = true, has_polls = true;

/* Replaces the function uv_thread_create() of libuv. */
int uv_thread_create(uv_thread_t *id, uv_thread_cb entry, void *arg)
{
    int (*create)(uv_thread_t *, uv_thread_cb, void *) = dlsym(RTLD_NEXT, "uv_thread_create");
    if (threads_allowed == 0) return UV_EAGAIN;
    threads_allowed--;
    return create(id, entry, arg);
}

/* Replaces the function uv_poll_init() of libuv. */
int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    int (*init)(uv_loop_t *, uv_poll_t *, int) = dlsym(RTLD_NEXT, "uv_poll_init");
    return has_polls ? init(loop, poll, fd) : UV_ENOMEM;
}

/* Replaces the function eventfd() of the C library. */
int eventfd(unsigned value, int flags)
{
    int (*make)(unsigned, int) = dlsym(RTLD_NEXT, "eventfd");
    if (has_eventfds) return make(value, flags);
    errno = EMFILE;
    return -1;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) n++;
    closedir(folder);
    return n;
}

/* Opens a store of each kind while *works is false and only `threads` threads can be started. Expects that neither
 * store is opened, that the messages contain `why`, and that nothing is left of the stores. */
static void expect_refused(bool *works, unsigned threads, const char *why)
{
    struct shop s;
    char err[300] = "";
    shop_init(&s);
    s.source.url = "postgresql:///none?host=/nowhere";
    unsigned before = open_files();
    *works = false;
    threads_allowed = threads;
    cr_assert_null(store_sqlite_open(&s.loop, s.path, 0, err, sizeof err));
    cr_assert(strstr(err, why), "%s", err);
    threads_allowed = threads;
    err[0] = 0;
    cr_assert_null(store_postgres_open(&s.loop, &s.source, NULL, err, sizeof err));
    cr_assert(strstr(err, why), "%s", err);
    *works = true;
    cr_assert_eq(open_files(), before);
    cr_assert(!uv_loop_alive(&s.loop));
    shop_release(&s);
    assert_no_leaks();
}

Test(store_threads, a_store_without_its_threads_is_not_opened_and_says_so)
{
    bool unused;
    for (unsigned threads = 0; threads < 2; threads++) expect_refused(&unused, threads, "cannot start a thread");
}

Test(store_threads, a_store_that_cannot_wake_the_loop_is_not_opened_and_says_so)
{
    expect_refused(&has_eventfds, 2, "cannot make an eventfd");
    expect_refused(&has_polls, 2, "cannot watch the eventfd");
}

Test(store_threads, a_store_is_opened_after_a_failure)
{
    struct shop s;
    expect_refused(&has_polls, 2, "cannot watch the eventfd");
    shop_init(&s);
    threads_allowed = 2;
    shop_open(&s);
    shop_submit(&s, shop_id(1), 0);
    shop_release(&s);
    assert_no_leaks();
}
