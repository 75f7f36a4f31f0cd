#include "hosts/runs/line_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int line_pipe_open(const char *path)
{
    return open(path, O_WRONLY | O_CLOEXEC);
}

void line_pipe_write(int fd, const char *lines, size_t len)
{
    while (flock(fd, LOCK_EX) < 0 && errno == EINTR) continue;
    while (len > 0) {
        ssize_t n = write(fd, lines, len);
        if (n < 0 && errno != EINTR) break;
        if (n > 0) lines += n, len -= (size_t)n;
    }
    flock(fd, LOCK_UN);
}
