#include "cli/options/jobs_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/options/option_values.h"
#include "common/machine/cpu_quota.h"

bool jobs_file_read(const char *path, unsigned max, unsigned *n)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    if (len <= 0) return false;
    text[len] = '\0';
    char *word = text + strspn(text, " \t\r\n");
    word[strcspn(word, " \t\r\n")] = '\0';
    return option_read_jobs(word, cpu_quota(), max, n);
}
