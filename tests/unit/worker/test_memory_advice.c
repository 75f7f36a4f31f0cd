#include "worker/memory_advice.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "unit/leaks.h"

static int log_ends[2];

/* Returns what is logged about the tasks in a group with this limit. */
static const char *advice(struct task **tasks, size_t n, uint64_t limit_bytes, bool together)
{
    static char text[4000];
    static const struct worker_config config;
    static struct worker w;
    const struct memory_group group = {.limit_bytes = limit_bytes, .ends_together = together};
    w = (struct worker){.config = &config, .processes = 2, .tasks = {tasks, n}};
    memory_advice_log(&w, &group);
    ssize_t got = read(log_ends[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

Test(memory_advice, names_the_tasks_that_could_end_the_worker)
{
    struct task a = {.name = "a"}, b = {.name = "b", .processes = 7}, capped = {.name = "capped", .memory_bytes = 1},
                broken = {.name = "broken", .error = "no command"};
    struct task *all[] = {&a, &b, &broken, &capped};
    cr_assert(pipe2(log_ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_fd(log_ends[1]);
    log_set_level(LOG_LEVEL_INFO);
    cr_assert_str_empty(advice(all, 4, 0, true), "there is no limit");
    cr_assert_str_empty(advice(all, 4, 800, false), "the kernel ends a single process");
    cr_assert_str_empty(advice(&all[2], 2, 800, true), "no task needs advice");
    const char *said = advice(all, 4, 800, true);
    cr_assert(strstr(said, "\"level\":\"warn\"") && strstr(said, "\"tasks\":\"a,b\""), "%s", said);
    cr_assert(strstr(said, "\"limit_bytes\":800,\"suitable_memory_bytes\":100"), "%s", said);
    close(log_ends[0]);
    close(log_ends[1]);
    assert_no_leaks();
}

Test(memory_advice, a_long_list_of_tasks_is_cut)
{
    struct task one = {.name = "a_task_with_a_name_that_is_long"}, *many[100];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++) many[i] = &one;
    cr_assert(pipe2(log_ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_fd(log_ends[1]);
    log_set_level(LOG_LEVEL_INFO);
    const char *said = advice(many, ARRAY_SIZE(many), 800, true);
    cr_assert(strstr(said, " more\""), "%s", said);
    cr_assert_lt(strlen(said), 1200);
    assert_no_leaks();
}
