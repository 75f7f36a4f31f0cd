#include "cli/base/standard_output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"

static int write_error; /* errno of the first failed write; stdio drops the data */

void standard_descriptors_open(void)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        int opened = open("/dev/null", modes[fd]);
        if (opened >= 0 && opened != fd) close(opened);
    }
}

bool standard_output_is_open(void)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

bool standard_output_flush(void)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && !write_error) write_error = errno ? errno : EIO;
    return !write_error;
}

int standard_output_end(int status)
{
    static bool is_said;
    if (standard_output_flush()) return status;
    if (write_error == EPIPE) interrupt_die_of(SIGPIPE);
    const char *why = write_error == EBADF ? "it is closed" : strerror(write_error);
    if (!is_said) complain("cannot write to standard output: %s", why);
    is_said = true;
    return EXIT_JOB_FAILED;
}
