/* The facts about the tasks of a run, as they are read from the list of tasks. */
#include <criterion/criterion.h>

#include "cli/reconnect/task_facts.h"

static const char list[] =
    "{\"workers\":1,\"tasks\":[{\"name\":\"a\",\"mode\":\"stream\",\"idempotent\":true,\"slots\":8},"
    "{\"name\":\"b\",\"mode\":\"stream\",\"idempotent\":null,\"slots\":4},"
    "{\"name\":\"c\",\"mode\":\"exec\",\"idempotent\":false,\"slots\":6},"
    "{\"name\":\"expected\",\"idempotent\":null},{\"name\":\"broken\",\"error\":\"no\"},7]}";

static struct task_facts facts_of(const char *tasks)
{
    struct task_facts facts;
    cr_assert(task_facts_read(&facts, tasks, list, strlen(list)), "%s", tasks);
    return facts;
}

Test(task_facts, the_strictest_task_of_a_pipeline_counts)
{
    cr_assert_eq(facts_of("a").idempotent, IDEMPOTENCY_YES);
    cr_assert_eq(facts_of("b").idempotent, IDEMPOTENCY_UNSAID);
    cr_assert_eq(facts_of("a,b").idempotent, IDEMPOTENCY_UNSAID);
    cr_assert_eq(facts_of("a,c,b").idempotent, IDEMPOTENCY_NO);
    cr_assert_eq(facts_of("a,c,b").slots, 4);
}

Test(task_facts, a_task_that_no_worker_described_tells_nothing)
{
    static const char *const unknown[] = {"expected", "broken", "d", "a,d", "", "a,"};
    static const char *const bad[] = {"", "[]", "{}", "{\"tasks\":7}", "{\"tasks\":[", "7"};
    struct task_facts facts;
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        cr_assert_not(task_facts_read(&facts, unknown[i], list, strlen(list)), "%s", unknown[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(task_facts_read(&facts, "a", bad[i], strlen(bad[i])), "%s", bad[i]);
}
