#include "common/files/remove_tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[48];
static int before;

static void setup(void)
{
    snprintf(base, sizeof base, "/tmp/fantail-test-tree-XXXXXX");
    cr_assert(mkdtemp(base));
    before = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(chdir(base), 0);
    cr_assert_eq(mkdir("tree", 0700), 0);
}

static void teardown(void)
{
    cr_assert_eq(fchdir(before), 0);
    close(before);
    remove_tree(base);
}

TestSuite(remove_tree, .init = setup, .fini = teardown);

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void put_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "%s", path);
    close(fd);
}

Test(remove_tree, a_tree_deeper_than_any_path_may_be_is_removed)
{
    enum { DEPTH = 1000, NAME = 200 };
    char name[NAME + 1];
    memset(name, 'd', NAME);
    name[NAME] = '\0';
    int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(chdir("tree"), 0);
    for (int i = 0; i < DEPTH; i++) {
        put_file("removed-1"); /* a name that remove_tree() may choose for a moved directory */
        cr_assert_eq(mkdir(name, 0700), 0);
        cr_assert_eq(chdir(name), 0);
    }
    cr_assert_eq(fchdir(home), 0);
    close(home);
    char *tree = realpath("tree", NULL);
    remove_tree(tree);
    cr_assert_not(exists(tree));
    free(tree);
}

Test(remove_tree, directories_that_are_closed_to_their_owner_are_removed)
{
    cr_assert_eq(mkdir("tree/a", 0700), 0);
    cr_assert_eq(mkdir("tree/a/b", 0700), 0);
    put_file("tree/a/b/file");
    cr_assert_eq(chmod("tree/a/b", 0), 0);
    cr_assert_eq(chmod("tree/a", 0), 0);
    cr_assert_eq(chmod("tree", 0), 0);
    remove_tree("tree");
    cr_assert_not(exists("tree"));
}

Test(remove_tree, what_a_symbolic_link_names_stays)
{
    cr_assert_eq(mkdir("precious", 0700), 0);
    put_file("precious/file");
    cr_assert_eq(symlink("../precious", "tree/link"), 0);
    cr_assert_eq(symlink("precious", "tree2"), 0);
    remove_tree("tree");
    remove_tree("tree2");
    cr_assert_not(exists("tree"));
    cr_assert_not(exists("tree2"));
    cr_assert(exists("precious/file"));
}
