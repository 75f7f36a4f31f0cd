#include "common/files/start_error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LINE_SIZE 257 /* the kernel reads at most 256 bytes of the line */

/* Reads the first line of the file, without its newline. The line is empty if the file cannot be read. */
static void read_first_line(const char *path, char line[LINE_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : read(fd, line, LINE_SIZE - 1);
    if (fd >= 0) close(fd);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

/* Returns whether execve() can fail with this errno although the file itself can be executed. */
static bool may_concern_interpreter(int error)
{
    return error == ENOENT || error == EACCES || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG;
}

void start_error_write(char out[START_ERROR_SIZE], const char *path, int error)
{
    char line[LINE_SIZE];
    snprintf(out, START_ERROR_SIZE, "%s", strerror(error));
    if (!may_concern_interpreter(error) || access(path, X_OK) != 0) return;
    read_first_line(path, line);
    char *cr = strchr(line, '\r');
    if (cr) *cr = '\0';
    bool is_script = strncmp(line, "#!", 2) == 0;
    if (!is_script && error == ENOENT)
        snprintf(out, START_ERROR_SIZE, "the file exists, but the dynamic loader that it needs does not: %s",
                 strerror(error));
    else if (!is_script)
        return;
    else if (cr)
        snprintf(out, START_ERROR_SIZE,
                 "its first line, \"%s\", ends with CR LF, so the CR counts as a part of the interpreter's name; save "
                 "the file with LF as its line ends",
                 line);
    else
        snprintf(out, START_ERROR_SIZE, "its first line is \"%s\", and this interpreter cannot be run: %s", line,
                 strerror(error));
}
