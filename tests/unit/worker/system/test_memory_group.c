/* A folder of this test stands for the control groups. */
#include "worker/system/memory_group.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/files/remove_tree.h"

static char root[] = "/tmp/fantail-test-group-XXXXXX";
static char self[64];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void write_in(const char *group, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s%s", root, group);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s%s/%s", root, group, name);
    write_file(path, text);
}

static struct memory_group read_as(const char *group)
{
    char text[100];
    snprintf(text, sizeof text, "4:memory:/other\n0::%s\n", group);
    write_file(self, text);
    return memory_group_read(root, self);
}

Test(memory_group, the_smallest_limit_counts_and_whether_its_group_ends_together)
{
    cr_assert_not_null(mkdtemp(root));
    snprintf(self, sizeof self, "%s/self", root);
    cr_assert_eq(read_as("/").limit_bytes, 0, "there are no files");

    write_in("", "memory.max", "2147483648\n");
    write_in("", "memory.oom.group", "1\n");
    struct memory_group g = read_as("/");
    cr_assert(g.limit_bytes == 2147483648 && g.ends_together);

    write_in("/a", "memory.max", "max\n");
    write_in("/a", "memory.oom.group", "0\n");
    g = read_as("/a");
    cr_assert(g.limit_bytes == 2147483648 && g.ends_together);

    write_in("/a/b", "memory.max", "1048576\n");
    write_in("/a/b", "memory.oom.group", "0\n");
    g = read_as("/a/b");
    cr_assert(g.limit_bytes == 1048576 && !g.ends_together, "a single process ends at this limit");
    write_in("/a/b", "memory.oom.group", "1\n");
    cr_assert(read_as("/a/b").ends_together);
    remove_tree(root);
}
