/* What the last lines on stderr say about why a process ended. */
#include <criterion/criterion.h>

#include "worker/process/fault.h"

static bool says(const char *text)
{
    return fault_says_out_of_memory(text, strlen(text));
}

Test(fault, runtimes_report_on_stderr_that_memory_ran_out)
{
    cr_assert(says("Traceback (most recent call last):\nMemoryError\n"));
    cr_assert(says("terminate called after throwing an instance of 'std::bad_alloc'\n"));
    cr_assert(says("FATAL ERROR: JavaScript heap out of memory\n"));
    cr_assert(says("fork: Cannot allocate memory"));
    cr_assert_not(says("no space left on the device\n"));
    cr_assert_not(says(""));
}
