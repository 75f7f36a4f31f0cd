#include "common/files/regular_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[40], path[60], why[200];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/fantail-test-file-XXXXXX");
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
}

static void remove_dir(void)
{
    remove(path);
    cr_assert_eq(rmdir(dir), 0);
}

TestSuite(regular_file, .init = make_dir, .fini = remove_dir);

static void put(size_t len)
{
    FILE *f = fopen(path, "we");
    for (size_t i = 0; i < len; i++) putc('a', f);
    cr_assert_eq(fclose(f), 0);
}

static void expect_refused(const char *name, const char *reason)
{
    struct buf text;
    buf_init(&text, 100);
    cr_assert(!regular_file_read(name, &text, why, sizeof why), "%s", name);
    cr_assert(strstr(why, reason), "%s: %s", name, why);
    buf_release(&text);
}

Test(regular_file, a_file_is_read_up_to_exactly_its_cap_and_ends_with_a_nul)
{
    static const size_t sizes[] = {0, 1, 99, 100};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct buf text;
        buf_init(&text, 100);
        put(sizes[i]);
        cr_assert(regular_file_read(path, &text, why, sizeof why), "%s", why);
        cr_assert(text.len == sizes[i] && text.data[text.len] == '\0');
        buf_release(&text);
    }
    put(101);
    expect_refused(path, "longer than 100 bytes");
}

Test(regular_file, what_is_not_a_file_is_refused_without_waiting)
{
    expect_refused("/nowhere/at/all", "No such file");
    expect_refused(dir, "a directory, not a regular file");
    expect_refused("/dev/zero", "a device, not a regular file");
    expect_refused("/dev/tty", "a device, not a regular file");
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(path, "a FIFO, not a regular file");
    remove(path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    expect_refused(path, "a socket, not a regular file");
    close(fd);
}

Test(regular_file, a_link_to_a_file_is_read)
{
    struct buf text;
    char link[60];
    buf_init(&text, 100);
    put(3);
    snprintf(link, sizeof link, "%s/link", dir);
    cr_assert_eq(symlink("file", link), 0);
    cr_assert(regular_file_read(link, &text, why, sizeof why) && text.len == 3);
    buf_release(&text);
    unlink(link);
}
