/* How long a process waits for a processor. In the tests, two processes keep one processor busy. */
#include "worker/system/cpu_wait.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stay_on_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
}

Test(cpu_wait, two_busy_processes_on_one_processor_wait_for_each_other, .timeout = 30)
{
    struct cpu_wait ours, its;
    stay_on_one_processor();
    pid_t child = fork();
    if (child == 0)
        for (;;) continue;
    cpu_wait_init(&ours, 0);
    cpu_wait_init(&its, child);
    if (!ours.fd_plus_1) cr_skip("this kernel does not count how long a process waits for a processor");
    uint64_t now = 0;
    while (ours.waited_ns - ours.waited_before_ns < NS_PER_MS || its.waited_ns < NS_PER_MS || its.ran_ns < NS_PER_MS) {
        now += NS_PER_MS;
        if (now == NS_PER_MS) cpu_wait_sleeps(&ours, now);
        cpu_wait_read(&ours, now);
        cpu_wait_read(&its, now);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    uint64_t before = its.waited_ns;
    cpu_wait_read(&its, now + NS_PER_S);
    cr_assert_geq(its.waited_ns, before, "a process that has ended keeps its figures");
    cpu_wait_release(&ours);
    cpu_wait_release(&its);
}

/* An answer that the loop finds now may have arrived during the previous turn. This process may also have waited for a
 * processor during the previous turn. */
Test(cpu_wait, the_wait_of_the_turn_before_is_kept_until_the_next_sleep)
{
    struct cpu_wait c = {.waited_ns = 7};
    cpu_wait_sleeps(&c, NS_PER_S);
    c.waited_ns = 10;
    cpu_wait_sleeps(&c, 2 * NS_PER_S);
    cr_assert_eq(c.waited_before_ns, 7);
    c.waited_ns = 15;
    cpu_wait_sleeps(&c, 3 * NS_PER_S);
    cr_assert_eq(c.waited_before_ns, 10);
}

Test(cpu_wait, without_a_file_nothing_is_counted)
{
    struct cpu_wait c;
    cpu_wait_init(&c, 1 << 30);
    cpu_wait_read(&c, NS_PER_S);
    cpu_wait_sleeps(&c, 2 * NS_PER_S);
    cr_assert(c.waited_ns == 0 && c.ran_ns == 0 && c.waited_before_ns == 0);
    cpu_wait_release(&c);
}

/* Reading how long a process has waited costs a twentieth of the processor time that the worker needs for an item of
 * some milliseconds. So the worker must not read it often. */
Test(cpu_wait, a_process_that_hardly_waits_is_looked_at_rarely)
{
    uint64_t pause = 0;
    for (unsigned i = 0; i < 5; i++) pause = cpu_wait_next_pause(pause, 10 * NS_PER_MS, NS_PER_MS);
    cr_assert_eq(pause, CPU_WAIT_PAUSE_NS);
    cr_assert_eq(cpu_wait_next_pause(pause, 40 * NS_PER_MS, NS_PER_MS), CPU_WAIT_PAUSE_NS);
}

Test(cpu_wait, a_process_that_waits_is_looked_at_each_time)
{
    cr_assert_eq(cpu_wait_next_pause(CPU_WAIT_PAUSE_NS, 40 * NS_PER_MS, 6 * NS_PER_MS), CPU_WAIT_LEAST_NS);
}

/* The process may now wait for a processor, even if it did not wait before it was idle. */
Test(cpu_wait, a_process_that_was_idle_is_looked_at_each_time)
{
    cr_assert_eq(cpu_wait_next_pause(CPU_WAIT_PAUSE_NS, NS_PER_S, 0), CPU_WAIT_LEAST_NS);
}

Test(cpu_wait, a_look_within_the_pause_reads_nothing)
{
    struct cpu_wait c;
    cpu_wait_init(&c, 0);
    if (!c.fd_plus_1) cr_skip("this kernel does not count how long a process waits for a processor");
    cpu_wait_look(&c, NS_PER_S);
    cr_assert_eq(c.read_at_ns, NS_PER_S);
    c.pause_ns = CPU_WAIT_PAUSE_NS;
    cpu_wait_look(&c, NS_PER_S + CPU_WAIT_PAUSE_NS - 1);
    cr_assert_eq(c.read_at_ns, NS_PER_S);
    cpu_wait_look(&c, NS_PER_S + CPU_WAIT_PAUSE_NS);
    cr_assert_eq(c.read_at_ns, NS_PER_S + CPU_WAIT_PAUSE_NS);
    cpu_wait_release(&c);
}
