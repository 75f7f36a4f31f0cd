#include "hosts/runs/attempts.h"

#include <fcntl.h>
#include <unistd.h>

int attempts_open(const char *gate)
{
    char *path;
    if (asprintf(&path, "%s.attempts", gate) < 0) BUG("no memory for a path");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    return fd;
}

static off_t offset_of(uint64_t index)
{
    return (off_t)(index * sizeof(uint16_t));
}

unsigned attempts_failed(int fd, uint64_t index)
{
    uint16_t failed = 0;
    bool found = pread(fd, &failed, sizeof failed, offset_of(index)) == (ssize_t)sizeof failed;
    return found ? failed : 0;
}

void attempts_note_failure(int fd, uint64_t index)
{
    uint16_t failed = (uint16_t)(attempts_failed(fd, index) + 1);
    /* If the disk is full, the failure is not counted. So the item may run more often than requested, up to the limit
     * of the coordinator. */
    if (pwrite(fd, &failed, sizeof failed, offset_of(index)) < 0) return;
}
