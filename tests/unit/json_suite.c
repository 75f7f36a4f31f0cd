#include "unit/json_suite.h"

#include <criterion/criterion.h>
#include <dirent.h>

#include "common/base/buf.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "cannot open %s", path);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;) cr_assert(buf_add(out, piece, n));
    fclose(f);
}

size_t json_suite_each(void (*fn)(const char *name, char verdict, const char *data, size_t len))
{
    const char *root = getenv("FANTAIL_TEST_DATA");
    char folder[512], path[1024];
    snprintf(folder, sizeof(folder), "%s/json-test-suite", root ? root : "tests/data");
    DIR *dir = opendir(folder);
    cr_assert(dir, "no %s: run in the repository's root or set FANTAIL_TEST_DATA", folder);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strchr("yni", e->d_name[0]) || e->d_name[1] != '_') continue;
        struct buf text = {0};
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        read_file(path, &text);
        char *exact = xmalloc(text.len);
        if (text.len) memcpy(exact, text.data, text.len);
        fn(e->d_name, e->d_name[0], exact, text.len);
        free(exact);
        buf_release(&text);
        count++;
    }
    closedir(dir);
    return count;
}

void assert_no_leak(void)
{
#ifdef __SANITIZE_ADDRESS__
    cr_assert(!__lsan_do_recoverable_leak_check());
#endif
}
