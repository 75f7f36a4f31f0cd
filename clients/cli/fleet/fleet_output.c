#include "cli/fleet/fleet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "cli/base/status_line.h"

enum { PIPE_BYTES = 1 << 20 };

/* If the service ends and is started again, the new process uses the same pipe. */
static bool open_pipe(struct fleet_service *s)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    /* If the write end had the number of a standard descriptor or CHILD_READY_FD, the child would lose the write end.
     */
    s->process.stderr_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_READY_FD + 1);
    close(ends[1]);
    s->output_fd = ends[0];
    fcntl(s->output_fd, F_SETFL, O_NONBLOCK);
    fcntl(s->output_fd, F_SETPIPE_SZ, PIPE_BYTES);
    return s->process.stderr_fd >= 0;
}

bool fleet_output_open(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!open_pipe(&f->services[i])) return fleet_fail(f, "cannot open a pipe: %s", strerror(errno));
    return true;
}

/* This program also holds the write end of the pipe, so a read never finds the end of the pipe. */
static void read_service(struct fleet_service *s)
{
    if (s->output_fd >= 0 && !relay_read(&s->relay, s->output_fd)) BUG("the pipe of a service has ended");
}

void fleet_read_output(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) read_service(&f->services[i]);
}

void fleet_write_output(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        do {
            if (!interrupt_signal()) status_line_write("", 0);
            read_service(&f->services[i]);
        } while (!relay_has_room() && !interrupt_signal());
    }
    if (interrupt_signal())
        status_line_flush();
    else
        status_line_write("", 0);
}

void fleet_output_close(struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct fleet_service *s = &f->services[i];
        if (s->output_fd < 0) continue;
        relay_end(&s->relay);
        relay_release(&s->relay);
        close(s->output_fd);
        if (s->process.stderr_fd >= 0) close(s->process.stderr_fd);
    }
    if (!interrupt_signal()) status_line_write("", 0);
}
