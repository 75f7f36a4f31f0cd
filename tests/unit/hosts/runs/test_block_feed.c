/* What a command reads from its stdin if it gets a block of a file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosts/runs/block_feed.h"
#include "unit/leaks.h"

enum { FILE_BYTES = 3000000 };

static char path[40];

/* Makes a file in memory. Its byte n is the last digit of n / 7. */
static int make_file(void)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(fd, FILE_BYTES), 0);
    char *at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(at, MAP_FAILED);
    for (size_t n = 0; n < FILE_BYTES; n++) at[n] = (char)('0' + n / 7 % 10);
    munmap(at, FILE_BYTES);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fd;
}

static char byte_at(uint64_t n)
{
    return (char)('0' + n / 7 % 10);
}

/* Runs the feed as its owner does. Returns false if the feed has failed. */
static bool turn(struct block_feed *f)
{
    struct pollfd p = {.fd = block_feed_poll_fd(f), .events = POLLOUT};
    bool has_room = p.fd >= 0 && poll(&p, 1, 0) > 0;
    return block_feed_step(f, has_room, now_ns());
}

/* Reads all of stdin in pieces, and returns how many bytes there were. */
static size_t read_all(struct block_feed *f, int in, size_t piece, char *data, size_t max)
{
    size_t len = 0;
    fcntl(in, F_SETFL, O_NONBLOCK);
    for (ssize_t n = 1; n != 0;) {
        if (!turn(f)) break;
        n = read(in, data + len, max - len < piece ? max - len : piece);
        if (n > 0) len += (size_t)n;
    }
    return len;
}

Test(block_feed, a_command_reads_its_part_and_before_it_the_header)
{
    static char data[FILE_BYTES];
    static const struct {
        uint64_t header_at, header, offset, bytes;
    } parts[] = {{0, 0, 100, 2500000}, {5, 12, 1000000, 70000}, {0, 1, 2999999, 1}, {0, 200000, 200000, 2800000}};
    int file = make_file();
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        struct feed_block b = {.path = path,
                               .header_at = parts[i].header_at,
                               .header_bytes = parts[i].header,
                               .offset = parts[i].offset,
                               .bytes = parts[i].bytes};
        struct block_feed f;
        int in = block_feed_open(&f, &b, 1);
        cr_assert_geq(in, 0);
        cr_assert_eq(read_all(&f, in, i % 2 ? 4096 : 300000, data, sizeof data), b.header_bytes + b.bytes);
        cr_assert_eq(f.state, FEED_CLOSED);
        for (size_t n = 0; n < b.header_bytes; n++) cr_assert_eq(data[n], byte_at(b.header_at + n));
        for (size_t n = 0; n < b.bytes; n++) cr_assert_eq(data[b.header_bytes + n], byte_at(b.offset + n));
        close(in);
    }
    close(file);
}

Test(block_feed, a_file_that_is_the_block_is_the_input_itself)
{
    int file = make_file();
    struct feed_block b = {.path = path, .bytes = FILE_BYTES, .whole = true};
    struct block_feed f;
    int in = block_feed_open(&f, &b, 1);
    cr_assert_eq(lseek(in, 0, SEEK_END), FILE_BYTES);
    cr_assert_eq(f.state, FEED_CLOSED);
    close(in);
    b.bytes++;
    cr_assert_eq(block_feed_open(&f, &b, 1), -1);
    cr_assert_eq(f.error, 0, "it is shorter");
    block_feed_close(&f);
    close(file);
}

Test(block_feed, a_command_that_does_not_read_ends_the_feed)
{
    int file = make_file();
    signal(SIGPIPE, SIG_IGN);
    struct feed_block b = {.path = path, .bytes = FILE_BYTES};
    struct block_feed f;
    int in = block_feed_open(&f, &b, 1);
    while (f.state != FEED_WAITING) cr_assert(turn(&f));
    cr_assert(turn(&f));
    cr_assert_eq(f.state, FEED_WAITING, "the pipe is full");
    close(in);
    while (f.state != FEED_CLOSED) cr_assert(turn(&f));
    close(file);
}

Test(block_feed, a_file_that_becomes_shorter_fails_the_feed)
{
    static char data[FILE_BYTES];
    int file = make_file();
    struct feed_block b = {.path = path, .bytes = FILE_BYTES};
    struct block_feed f;
    int in = block_feed_open(&f, &b, 1);
    while (f.state != FEED_WAITING) cr_assert(turn(&f));
    cr_assert_eq(ftruncate(file, FILE_BYTES / 2), 0);
    read_all(&f, in, 65536, data, sizeof data);
    cr_assert_eq(f.state, FEED_FAILED);
    cr_assert_eq(f.error, 0);
    block_feed_close(&f);
    close(in);
    close(file);
    b.path = "/nonexistent";
    cr_assert_eq(block_feed_open(&f, &b, 1), -1);
    cr_assert_eq(f.error, ENOENT);
    block_feed_close(&f);
}

Test(block_feed, a_file_system_without_splice_is_read)
{
    static char data[200], expected[200];
    struct feed_block b = {.path = "/proc/self/status", .offset = 10, .bytes = 100};
    int status = open(b.path, O_RDONLY);
    cr_assert_eq(pread(status, expected, 100, 10), 100);
    close(status);
    struct block_feed f;
    int in = block_feed_open(&f, &b, 64);
    cr_assert_eq(read_all(&f, in, 65536, data, sizeof data), 100);
    cr_assert_arr_eq(data, expected, 100);
    close(in);
}
