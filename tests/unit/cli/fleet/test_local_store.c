/* Where `fantail local` keeps durable jobs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fleet/local_store.h"

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/fantail-test-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void)
{
    static const char *const made[] = {"/.local/state/fantail", "/.local/state", "/.local", "/fantail", ""};
    for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", folder, made[i]);
        rmdir(path);
    }
}

static void assert_store(const char *below)
{
    struct buf store = {0};
    struct stat info;
    char err[256], wanted[128];
    cr_assert(local_store_find(8080, &store, err, sizeof err), "%s", err);
    snprintf(wanted, sizeof wanted, "sqlite:%s%s/fantail/local-8080.sqlite", folder, below);
    cr_assert_str_eq(buf_cstr(&store), wanted);
    *strrchr(store.data, '/') = '\0';
    cr_assert_eq(stat(store.data + strlen("sqlite:"), &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0700);
    buf_release(&store);
}

Test(local_store, it_is_a_file_for_each_port_in_the_state_folder, .init = make_folder, .fini = remove_folder)
{
    setenv("XDG_STATE_HOME", folder, 1);
    setenv("HOME", "/nowhere", 1);
    assert_store("");
    assert_store("");
}

Test(local_store, without_a_state_folder_it_is_below_the_home_folder, .init = make_folder, .fini = remove_folder)
{
    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", folder, 1);
    assert_store("/.local/state");
}

Test(local_store, why_there_is_none_is_said)
{
    struct buf store = {0};
    char err[256];
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    cr_assert(!local_store_find(8080, &store, err, sizeof err));
    cr_assert(strstr(err, "XDG_STATE_HOME"));
    setenv("HOME", "/dev/null", 1);
    cr_assert(!local_store_find(8080, &store, err, sizeof err));
    cr_assert(strstr(err, "Not a directory"), "%s", err);
    cr_assert_eq(store.len, 0);
}
