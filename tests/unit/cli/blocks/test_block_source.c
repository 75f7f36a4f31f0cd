/* Blocks of a stream and of a file: where they are cut, and that both are cut at the same places. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/blocks/block_source.h"
#include "unit/leaks.h"

static struct block_plan plan_of(const char *start, const char *end, int64_t size)
{
    struct block_plan p = {.size = size, .slots = 2};
    cr_assert(record_ends_init(&p.ends, start, end));
    return p;
}

static int file_of(const char *data, size_t len)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    cr_assert_eq(write(fd, data, len), (ssize_t)len);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Adds the lengths of the blocks of the file, each followed by a space. */
static void add_file_cuts(const struct block_plan *p, const char *data, size_t len, struct buf *out)
{
    struct block_source s;
    struct input_block b;
    const char *why;
    uint64_t offset = 0;
    int fd = file_of(data, len);
    cr_assert(block_source_init(&s, fd, p, &why));
    cr_assert(s.is_file);
    for (; block_source_next(&s, &b) == BLOCK_CUT; offset += b.bytes) {
        cr_assert_eq(b.offset, offset);
        cr_assert_eq(b.fd, -1);
        buf_addf(out, "%d ", (int)b.bytes);
    }
    cr_assert_null(block_source_fault(&s));
    cr_assert_eq(offset, len);
    block_source_release(&s);
    close(fd);
}

static void check_block(const struct input_block *b, const char *data)
{
    struct stat st;
    char *text = xcalloc(b->bytes + 1, 1);
    cr_assert_eq(fstat(b->fd, &st), 0);
    cr_assert_eq((uint64_t)st.st_size, b->bytes);
    cr_assert_eq(pread(b->fd, text, b->bytes, 0), (ssize_t)b->bytes);
    cr_assert_arr_eq(text, data + b->offset, b->bytes);
    free(text);
}

/* Like add_file_cuts(), for a stream whose bytes come in pieces of `piece` bytes. Frees each block immediately. */
static void add_stream_cuts(const struct block_plan *p, const char *data, size_t len, size_t piece, struct buf *out)
{
    struct block_source s;
    struct input_block b;
    const char *why;
    enum block_step step;
    int fds[2];
    cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
    cr_assert(block_source_init(&s, fds[0], p, &why));
    cr_assert_not(s.is_file);
    for (size_t at = 0; (step = block_source_next(&s, &b)) != BLOCK_END;) {
        if (step == BLOCK_CUT) {
            check_block(&b, data);
            buf_addf(out, "%d ", (int)b.bytes);
            block_source_free(&s, b.offset);
        } else if (at < len) {
            size_t n = len - at < piece ? len - at : piece;
            cr_assert_eq(write(fds[1], data + at, n), (ssize_t)n);
            at += n;
        } else if (fds[1] >= 0) {
            close(fds[1]);
            fds[1] = -1;
        }
    }
    cr_assert_null(block_source_fault(&s));
    cr_assert_eq(block_source_bytes(&s), len);
    block_source_release(&s);
    close(fds[0]);
}

static const char *cuts_of(const char *start, const char *end, int64_t size, const char *text)
{
    static char cuts[400];
    struct block_plan p = plan_of(start, end, size);
    struct buf file = {0}, stream = {0};
    add_file_cuts(&p, text, strlen(text), &file);
    for (size_t piece = 1; piece < 8; piece += 3) {
        buf_clear(&stream);
        add_stream_cuts(&p, text, strlen(text), piece, &stream);
        cr_assert_str_eq(buf_cstr(&stream), buf_cstr(&file));
    }
    snprintf(cuts, sizeof cuts, "%s", buf_cstr(&file));
    buf_release(&file);
    buf_release(&stream);
    return cuts;
}

Test(block_source, a_block_has_as_many_records_as_fit)
{
    cr_assert_str_eq(cuts_of(NULL, NULL, 6, "ab\ncd\nef\ng"), "6 4 ");
    cr_assert_str_eq(cuts_of(NULL, NULL, 5, "ab\ncd\nef\ng"), "3 3 4 ");
    cr_assert_str_eq(cuts_of(NULL, NULL, 100, "ab\ncd\nef\ng"), "10 ");
    cr_assert_str_eq(cuts_of(NULL, NULL, 5, ""), "");
    cr_assert_str_eq(cuts_of(NULL, NULL, 1, "\n\n\n"), "1 1 1 ");
}

/* Returns the cuts of a stream, which do not depend on the pieces in which its bytes come. */
static const char *stream_cuts_of(const struct block_plan *p, const char *text)
{
    static char cuts[400];
    struct buf first = {0}, other = {0};
    add_stream_cuts(p, text, strlen(text), 1, &first);
    for (size_t piece = 4; piece < 40; piece += 3) {
        buf_clear(&other);
        add_stream_cuts(p, text, strlen(text), piece, &other);
        cr_assert_str_eq(buf_cstr(&other), buf_cstr(&first), "pieces of %zu bytes", piece);
    }
    snprintf(cuts, sizeof cuts, "%s", buf_cstr(&first));
    buf_release(&first);
    buf_release(&other);
    return cuts;
}

/* Returns the cuts of a stream whose blocks have whole groups of records. */
static const char *group_cuts_of(uint64_t group, uint64_t records, int64_t size, const char *text)
{
    struct block_plan p = plan_of(NULL, NULL, size);
    p.group = group;
    p.records = records;
    return stream_cuts_of(&p, text);
}

Test(block_source, a_block_has_as_many_whole_groups_of_records_as_fit)
{
    cr_assert_str_eq(group_cuts_of(2, 0, 100, "a\nb\nc\nd\ne\nf\n"), "12 ");
    cr_assert_str_eq(group_cuts_of(2, 0, 11, "a\nb\nc\nd\ne\nf\n"), "8 4 ");
    cr_assert_str_eq(group_cuts_of(2, 0, 8, "a\nb\nc\nd\ne\nf\n"), "8 4 ");
    cr_assert_str_eq(group_cuts_of(2, 0, 7, "a\nb\nc\nd\ne\nf\n"), "4 4 4 ");
    cr_assert_str_eq(group_cuts_of(3, 0, 1, "a\nb\nlonger line\nc\nd\n"), "16 4 ");
    cr_assert_str_eq(group_cuts_of(3, 0, 100, "a\nb\nc\nd\ne"), "6 3 ");
    cr_assert_str_eq(group_cuts_of(3, 0, 1, "a\nb"), "3 ");
    cr_assert_str_eq(group_cuts_of(3, 0, 100, ""), "");
    cr_assert_str_eq(group_cuts_of(2, 2, 1, "a\nb\nc\nd\ne\nf\n"), "8 4 ");
    assert_no_leaks();
}

Test(block_source, a_record_longer_than_a_block_is_a_block)
{
    cr_assert_str_eq(cuts_of(NULL, NULL, 4, "a\nlonger line\nb\nc\nlast line"), "2 12 4 9 ");
    cr_assert_str_eq(cuts_of(NULL, "END", 2, "aENDbbENDc"), "4 5 1 ");
}

Test(block_source, a_start_begins_the_next_block)
{
    cr_assert_str_eq(cuts_of(">", NULL, 7, ">a\nb\n>c\n>d\ne\nf\ng\n"), "5 3 9 ");
    cr_assert_str_eq(cuts_of("S", "E", 5, "SxESyEEESxE"), "3 5 3 ");
    cr_assert_str_eq(cuts_of(NULL, "", 4, "abcdefghij"), "4 4 2 ");
}

Test(block_source, a_file_and_a_stream_are_cut_at_the_same_places)
{
    static const struct {
        const char *start, *end;
    } forms[] = {{NULL, NULL}, {"ab", NULL}, {"a", "b"}, {NULL, "aba"}, {"b\\n", "\\n"}, {NULL, ""}};
    static char text[40000];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof text; i++) text[i] = "ab\n."[(seed = seed * 1103515245 + 12345) >> 16 & 3];
    /* These bytes are longer than the windows in which a file is searched. */
    memset(text + 3000, 'x', 30000);
    for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
        static const int64_t sizes[] = {1, 7, 100, 9000, 39000};
        for (size_t i = f == 0 ? 0 : 1; i < ARRAY_SIZE(sizes); i++) {
            struct block_plan p = plan_of(forms[f].start, forms[f].end, sizes[i]);
            struct buf file = {0}, stream = {0};
            add_file_cuts(&p, text, sizeof text, &file);
            add_stream_cuts(&p, text, sizeof text, 4000, &stream);
            cr_assert_str_eq(buf_cstr(&stream), buf_cstr(&file), "form %zu, size %zu", f, i);
            buf_release(&file);
            buf_release(&stream);
        }
    }
}

Test(block_source, a_negative_size_is_a_number_of_blocks_for_each_command)
{
    struct buf out = {0};
    struct block_plan p = plan_of(NULL, "", -2);
    add_file_cuts(&p, "0123456789", 10, &out);
    cr_assert_str_eq(buf_cstr(&out), "3 3 2 2 ");
    buf_release(&out);
    struct block_source s;
    const char *why;
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_not(block_source_init(&s, fds[0], &p, &why));
    close(fds[0]);
    close(fds[1]);
}

/* Returns the lengths of the blocks of a stream whose records are counted. */
static const char *counted(const char *start, const char *end, uint64_t records, const char *text)
{
    struct block_plan p = plan_of(start, end, 1 << 20);
    p.records = records;
    return stream_cuts_of(&p, text);
}

Test(block_source, a_block_may_have_a_number_of_records)
{
    cr_assert_str_eq(counted(NULL, NULL, 2, "a\nbb\n\nc\nd"), "5 3 1 ");
    cr_assert_str_eq(counted(NULL, NULL, 1, "a\nbb\n"), "2 3 ");
    cr_assert_str_eq(counted(NULL, NULL, 9, "a\nbb\n"), "5 ");
    cr_assert_str_eq(counted(">", NULL, 2, ">a>b>c>d>e"), "4 4 2 ");
    cr_assert_str_eq(counted(NULL, ";;", 2, "a;;b;c;;d;;;;"), "8 5 ");
    cr_assert_str_eq(counted(NULL, "", 3, "abcdefgh"), "3 3 2 ");
}

/* Gets the next block. If the stream needs bytes first, calls block_source_next() a second time. */
static enum block_step next_block(struct block_source *s, struct input_block *b)
{
    enum block_step step = block_source_next(s, b);
    return step == BLOCK_MORE && s->stream.needs_bytes ? block_source_next(s, b) : step;
}

Test(block_source, a_stream_is_read_only_while_there_is_a_place)
{
    struct block_source s;
    struct input_block b, first;
    struct block_plan p = plan_of(NULL, NULL, BLOCK_STREAM_BYTES);
    const char *why;
    int fds[2];
    cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
    cr_assert(block_source_init(&s, fds[0], &p, &why));
    cr_assert_eq(s.stream.places_max, 4, "one for each command, and two");
    s.stream.cut.max = 2;
    cr_assert_eq(block_source_next(&s, &b), BLOCK_MORE, "it is not read before the caller has waited for it");
    cr_assert_eq(write(fds[1], "a\nb\nc\nd\ne\nf\n", 12), 12);
    cr_assert_eq(next_block(&s, &first), BLOCK_CUT);
    for (int i = 0; i < 3; i++) cr_assert_eq(next_block(&s, &b), BLOCK_CUT);
    cr_assert_not(block_source_has_place(&s));
    cr_assert_eq(next_block(&s, &b), BLOCK_MORE);
    block_source_free(&s, first.offset);
    cr_assert(block_source_has_place(&s));
    cr_assert_eq(next_block(&s, &b), BLOCK_CUT);
    cr_assert_eq(b.offset, 8);
    check_block(&b, "a\nb\nc\nd\ne\nf\n");
    block_source_release(&s);
    close(fds[0]);
    close(fds[1]);
}

Test(block_source, a_file_that_has_become_shorter_is_a_fault)
{
    struct block_source s;
    struct input_block b;
    struct block_plan p = plan_of(NULL, NULL, 4);
    const char *why;
    int fd = file_of("a\nb\nc\nd\ne\nf\n", 12);
    cr_assert(block_source_init(&s, fd, &p, &why));
    cr_assert_eq(block_source_next(&s, &b), BLOCK_CUT);
    cr_assert_eq(ftruncate(fd, 5), 0);
    cr_assert_eq(block_source_next(&s, &b), BLOCK_END);
    cr_assert(strstr(block_source_fault(&s), "become shorter"));
    block_source_release(&s);
    close(fd);
}
