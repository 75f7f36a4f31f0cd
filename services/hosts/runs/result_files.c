#include "hosts/runs/result_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUFFIX_BYTES = 24 }; /* "\\~" and the number of the item */

static const char *const file_names[] = {"stdout", "stderr", "seq", "exitval"};
static_assert(ARRAY_SIZE(file_names) == RESULT_FILE_COUNT, "a name for each file");

void result_files_init(struct result_files *f, const char *dir)
{
    *f = (struct result_files){.dir = dir, .folder = -1, .fds = {-1, -1, -1, -1}};
}

static void close_all(struct result_files *f)
{
    for (size_t i = 0; i < RESULT_FILE_COUNT; i++) {
        if (f->fds[i] >= 0) close(f->fds[i]);
        f->fds[i] = -1;
    }
    if (f->folder >= 0) close(f->folder);
    f->folder = -1;
}

void result_files_release(struct result_files *f)
{
    close_all(f);
    buf_release(&f->name);
}

static void fail(struct result_files *f)
{
    if (!f->error) f->error = errno;
}

/* ---- folders ---- */

/* Cuts a name that is too long for a file system, but not within an escape or a character of UTF-8. */
static void cut(struct result_files *f)
{
    size_t at = 0, end = NAME_MAX - SUFFIX_BYTES;
    for (size_t step; at < end; at += step) {
        step = f->name.data[at] == '\\' ? 2 : 1;
        while (((unsigned char)f->name.data[at + step] & 0xC0) == 0x80 && step < 4) step++;
        if (at + step > end) break;
    }
    f->name.len = at;
    buf_addf(&f->name, "\\~%llu", (unsigned long long)f->seq);
}

static void set_name(struct result_files *f, const char *value, size_t len)
{
    static const char special[] = {'\\', '/', '\t', '\0'}, letters[] = {'\\', '_', 't', '0'};
    buf_clear(&f->name);
    if (len == 0 || (value[0] == '.' && (len == 1 || (len == 2 && value[1] == '.')))) buf_add_char(&f->name, '\\');
    for (size_t i = 0; i < len; i++) {
        const char *found = memchr(special, value[i], sizeof special);
        if (found) buf_add_char(&f->name, '\\');
        buf_add_char(&f->name, found ? letters[found - special] : value[i]);
    }
    if (f->name.len > NAME_MAX) cut(f);
    buf_cstr(&f->name);
}

static void go_into(struct result_files *f, const char *name)
{
    int next = -1;
    if (f->error) return;
    if (mkdirat(f->folder, name, 0777) == 0 || errno == EEXIST)
        next = openat(f->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (next < 0) {
        fail(f);
        return;
    }
    close(f->folder);
    f->folder = next;
}

void result_files_begin(struct result_files *f, uint64_t seq)
{
    f->seq = seq;
    f->error = 0;
    f->folder = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder < 0) fail(f);
}

void result_files_enter(struct result_files *f, size_t column, const char *name, const char *value, size_t len)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", column);
    if (name) set_name(f, name, strlen(name));
    go_into(f, name ? f->name.data : number);
    set_name(f, value, len);
    go_into(f, f->name.data);
}

/* ---- files ---- */

/* Makes a file to which no other command writes. If another command with the same values has made the file at the same
 * time, this command removes the other command's file and tries again. */
static int make_file(struct result_files *f, const char *name)
{
    int fd = -1;
    while (!f->error && fd < 0) {
        if (unlinkat(f->folder, name, 0) < 0 && errno != ENOENT) fail(f);
        if (!f->error) fd = openat(f->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) fail(f);
    }
    return fd;
}

void result_files_write(struct result_files *f, enum result_file which, const char *data, size_t len)
{
    while (len > 0 && !f->error) {
        ssize_t n = write(f->fds[which], data, len);
        if (n < 0 && errno != EINTR) fail(f);
        if (n > 0) data += n, len -= (size_t)n;
    }
}

bool result_files_open(struct result_files *f)
{
    char seq[24];
    for (size_t i = 0; i < RESULT_FILE_COUNT; i++) f->fds[i] = make_file(f, file_names[i]);
    int len = snprintf(seq, sizeof seq, "%llu", (unsigned long long)f->seq);
    result_files_write(f, RESULT_SEQ, seq, (size_t)len);
    if (!f->error) return true;
    close_all(f);
    errno = f->error;
    return false;
}

bool result_files_end(struct result_files *f, int exit_status)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", exit_status);
    result_files_write(f, RESULT_EXITVAL, text, (size_t)len);
    close_all(f);
    errno = f->error;
    return !f->error;
}
