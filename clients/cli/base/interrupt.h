/*
 * Makes signals readable from a descriptor that can be polled. SIGINT, SIGTERM and SIGHUP ask the program to end;
 * SIGCHLD means that a child may have ended. The handlers only note the signal and make interrupt_fd() readable.
 * Blocking calls return with EINTR. The third signal that asks the program to end kills it immediately. SIGPIPE is
 * ignored, so that a write to a closed pipe returns an error.
 */
#ifndef FANTAIL_CLI_BASE_INTERRUPT_H
#define FANTAIL_CLI_BASE_INTERRUPT_H

#include "common/base/base.h"

void interrupt_init(void);
/* After this call, SIGHUP asks for a reload, as in any service. If the terminal of this program has been closed, SIGHUP
 * still asks the program to end. If SIGHUP was ignored at the start, as under nohup, every SIGHUP asks for a reload. */
void interrupt_reload_on_hangup(void);
/* Returns true if a reload was requested since the last call. */
MUST_CHECK bool interrupt_take_reload(void);
/* From interrupt_kills(true) to interrupt_kills(false), a signal that asks the program to end kills it immediately. Use
 * the two calls around a call that blocks and cannot be interrupted. */
void interrupt_kills(bool kills);
/* Returns a descriptor that becomes readable at a signal and stays readable until interrupt_clear(). */
int interrupt_fd(void);
void interrupt_clear(void);
/* Returns the first signal that asked the program to end, or 0. */
int interrupt_signal(void);
/* Returns how many signals have asked the program to end. If the number is 2 or more, the program should end
 * immediately. */
int interrupt_count(void);
/* Kills this program with the given signal, so that the parent process sees which signal ended it. */
_Noreturn void interrupt_die_of(int signal);

#endif
