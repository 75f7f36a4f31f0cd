#include "cli/fleet/gate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

bool gate_file_make(struct gate_file *f, const char *path, const struct run_gate_rules *rules, unsigned seats,
                    unsigned running_max)
{
    *f = (struct gate_file){.size = run_gate_size(seats)};
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    /* posix_fallocate() reserves the space, so that a full disk is noticed here and not as SIGBUS in a process. */
    errno = posix_fallocate(fd, 0, (off_t)f->size);
    void *at = errno ? MAP_FAILED : mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int error = errno;
    close(fd);
    errno = error;
    if (at == MAP_FAILED) return false;
    f->shared = at;
    f->shared->version = RUN_GATE_VERSION;
    f->shared->seats_count = seats;
    f->shared->rules = *rules;
    f->shared->running_max = running_max;
    return true;
}

void gate_file_release(struct gate_file *f)
{
    if (f->shared) munmap(f->shared, f->size);
    *f = (struct gate_file){0};
}

void gate_file_set_running(struct gate_file *f, unsigned max)
{
    f->shared->running_max = max;
    run_gate_turn(f->shared);
    syscall(SYS_futex, &f->shared->turns, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
