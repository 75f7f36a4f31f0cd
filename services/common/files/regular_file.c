#include "common/files/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024 };

static const char *kind_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFDIR: return "a directory";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "something else";
    }
}

/* The type is checked twice. The check before opening is needed because opening a device may have an effect. The check
 * after opening is needed because the path may by then name another file than before. O_NONBLOCK is needed because a
 * FIFO may have replaced the file in the meantime. */
static int open_regular(const char *path, struct stat *st)
{
    if (stat(path, st) != 0) return -1;
    if (!S_ISREG(st->st_mode)) return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) return fd;
    close(fd);
    return -1;
}

/* Returns the last result of read(): 0 at the end of the file, negative after an error, positive if the file is longer
 * than the cap. */
static ssize_t read_to_end(int fd, struct buf *text)
{
    for (;;) {
        /* When `text` is full, reads one more byte to find out whether the file ends there. */
        char last;
        size_t room = text->cap - text->len < READ_BYTES ? text->cap - text->len : READ_BYTES;
        if (!buf_reserve(text, room)) BUG("a reservation within the cap failed");
        ssize_t n = room ? read(fd, text->data + text->len, room) : read(fd, &last, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || !room) return n;
        text->len += (size_t)n;
    }
}

bool regular_file_read(const char *path, struct buf *text, char *why, size_t why_size)
{
    struct stat st = {0};
    if (!text->cap) BUG("a file is read without a cap");
    errno = 0;
    int fd = open_regular(path, &st);
    if (fd < 0) {
        bool odd = st.st_mode && !S_ISREG(st.st_mode);
        if (odd)
            snprintf(why, why_size, "it is %s, not a regular file", kind_name(st.st_mode));
        else
            snprintf(why, why_size, "%s", strerror(errno));
        return false;
    }
    ssize_t n = read_to_end(fd, text);
    if (n < 0) snprintf(why, why_size, "%s", strerror(errno));
    if (n > 0) snprintf(why, why_size, "it is longer than %zu bytes", text->cap);
    close(fd);
    if (n == 0) (void)buf_cstr(text);
    return n == 0;
}
