/*
 * Measures how long a process was ready to run but waited for a processor, as Linux counts this time in
 * /proc/PID/schedstat. If more processes are ready than there are processors, an item holds its slot for much longer
 * than its work takes.
 */
#ifndef FANTAIL_WORKER_SYSTEM_CPU_WAIT_H
#define FANTAIL_WORKER_SYSTEM_CPU_WAIT_H

#include <sys/types.h>

#include "common/base/base.h"

#define CPU_WAIT_LEAST_NS NS_PER_MS /* least time between two reads of the file; a read takes a microsecond or two */
#define CPU_WAIT_PAUSE_NS (32 * NS_PER_MS) /* the longest pause of cpu_wait_look() */

/* Embedded in its owner. A zeroed struct counts nothing, and may be released. */
struct cpu_wait {
    int fd_plus_1;              /* 0: the file is not open */
    uint64_t ran_ns, waited_ns; /* total since the start of the process */
    uint64_t read_at_ns;
    uint64_t pause_ns;         /* minimum time between two reads by cpu_wait_look(); 0: CPU_WAIT_LEAST_NS */
    uint64_t waited_slept_ns;  /* waited_ns at the last call to cpu_wait_sleeps() */
    uint64_t waited_before_ns; /* waited_ns at the call before that one */
};

/* Opens the file. If the file cannot be opened, nothing is counted. pid 0: this process. */
void cpu_wait_init(struct cpu_wait *c, pid_t pid);
void cpu_wait_release(struct cpu_wait *c);
/* Updates ran_ns and waited_ns, at most once per millisecond. */
void cpu_wait_read(struct cpu_wait *c, uint64_t now_ns);
/* Like cpu_wait_read(), but reads the file more rarely while the process hardly waits for a processor: after each such
 * read the pause doubles, up to CPU_WAIT_PAUSE_NS. */
void cpu_wait_look(struct cpu_wait *c, uint64_t now_ns);
/* Returns the next pause of cpu_wait_look(). The previous read was passed_ns ago; since then, the process has waited
 * for waited_ns. After a long time without a read the pause is short again, because the machine may be crowded now.
 * Pure. */
uint64_t cpu_wait_next_pause(uint64_t pause_ns, uint64_t passed_ns, uint64_t waited_ns);
/* Call it before this process sleeps. After the sleep, waited_ns - waited_before_ns is how long this process has waited
 * for a processor since the call before this one. An event that the process finds after the sleep may have happened at
 * any time since that earlier call. Counting only from this call on would miss waiting time: when this process wakes
 * another process by a write, the kernel may run the other process first, and this process then waits in the middle of
 * its turn. This waiting time ends before this call, but the answer of the other process is found only after this
 * call. */
void cpu_wait_sleeps(struct cpu_wait *c, uint64_t now_ns);

#endif
