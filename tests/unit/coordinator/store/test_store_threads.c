/* A store whose threads cannot be started. */
#include <dlfcn.h>

#include "unit/coordinator/store/store_harness.h"

static unsigned threads_allowed;

/* Replaces the function uv_thread_create() of libuv. */
int uv_thread_create(uv_thread_t *id, uv_thread_cb entry, void *arg)
{
    int (*create)(uv_thread_t *, uv_thread_cb, void *) = dlsym(RTLD_NEXT, "uv_thread_create");
    if (threads_allowed == 0) return UV_EAGAIN;
    threads_allowed--;
    return create(id, entry, arg);
}

Test(store_threads, a_store_without_its_threads_is_not_opened_and_says_so)
{
    for (unsigned allowed = 0; allowed < 3; allowed++) {
        struct shop s;
        char err[300] = "";
        shop_init(&s);
        threads_allowed = allowed;
        s.store = store_sqlite_open(&s.loop, s.path, 0, err, sizeof err);
        cr_assert_eq(s.store != NULL, allowed == 2);
        if (allowed < 2) cr_assert(strstr(err, "cannot start a thread"), "%s", err);
        uv_run(&s.loop, UV_RUN_NOWAIT);
        shop_release(&s);
    }
    assert_no_leaks();
}
