/*
 * Signals as something to poll: SIGINT, SIGTERM and SIGHUP ask the program to end, SIGCHLD says that a child may have
 * ended. Handlers note the signal and make interrupt_fd() readable; blocking calls are cut short (EINTR). A third
 * request to end leaves at once. SIGPIPE is ignored, so that writing to a closed pipe is an error to handle.
 */
#ifndef FANTAIL_CLI_BASE_INTERRUPT_H
#define FANTAIL_CLI_BASE_INTERRUPT_H

#include "common/base/base.h"

void interrupt_init(void);
/* From here on SIGHUP asks for a reload, as of any service; but when the terminal is closed that this program was
 * started from it still asks for the end, unless nohup was there. */
void interrupt_reload_on_hangup(void);
/* True once after one or more SIGHUP that ask for a reload. */
MUST_CHECK bool interrupt_take_reload(void);
/* Readable after a signal, until interrupt_clear(). */
int interrupt_fd(void);
void interrupt_clear(void);
/* The first signal that asked for the end; 0 when there was none. */
int interrupt_signal(void);
/* How often the end was asked for: the second time means "now". */
int interrupt_count(void);
/* Ends this program the way `signal` ends programs, so that the caller sees why. */
_Noreturn void interrupt_die_of(int signal);

#endif
