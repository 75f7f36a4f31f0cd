#include <criterion/criterion.h>

#include "coordinator/answers/error_log.h"
#include "unit/leaks.h"

static const char a[] = "{\"error\":{\"name\":\"cancelled\"}}\n", b[] = "{\"error\":{\"name\":\"crashed\"}}\n";

static void add(struct error_log *l, uint64_t first, uint64_t n, const char *line)
{
    cr_assert(error_log_add(l, first, n, line, strlen(line)));
}

static void expect(struct error_log *l, uint64_t first, size_t n, const char *line)
{
    struct answer_source s = error_log_source(l);
    struct answer_run run;
    bool failed;
    cr_assert(answer_source_peek(&s, &run, &failed));
    cr_assert(run.first == first && run.n == n && run.repeated == (n > 1));
    cr_assert(run.len == strlen(line) && memcmp(run.bytes, line, run.len) == 0);
    answer_source_consume(&s, n, run.len);
}

static void expect_nothing(struct error_log *l)
{
    struct answer_source s = error_log_source(l);
    struct answer_run run;
    bool failed;
    cr_assert(!answer_source_peek(&s, &run, &failed) && !failed);
    cr_assert_eq(answer_source_unread_bytes(&s), 0);
}

Test(error_log, lines_that_are_alike_are_one_record)
{
    struct error_log l;
    error_log_init(&l, &(struct spill_dir){.path = "/nowhere/at/all"}, 300);
    for (uint64_t i = 0; i < 1000000; i++) add(&l, i, 1, a);
    add(&l, 1000000, 5, a);
    add(&l, 1000005, 1, b);
    add(&l, 1000007, 1, b);
    expect(&l, 0, 1000005, a);
    expect(&l, 1000005, 1, b);
    expect(&l, 1000007, 1, b);
    expect_nothing(&l);
    error_log_release(&l);
    assert_no_leaks();
}

Test(error_log, what_was_read_while_it_grows_is_not_read_again)
{
    struct error_log l;
    struct answer_run run;
    bool failed;
    error_log_init(&l, &(struct spill_dir){.path = "/tmp"}, 0);
    struct answer_source s = error_log_source(&l);
    add(&l, 0, 10, a);
    cr_assert(answer_source_peek(&s, &run, &failed));
    answer_source_consume(&s, 4, 0);
    add(&l, 10, 2, a);
    expect(&l, 4, 8, a);
    add(&l, 12, 1, a);
    add(&l, 13, 1, b);
    expect(&l, 12, 1, a);
    expect(&l, 13, 1, b);
    expect_nothing(&l);
    error_log_release(&l);
    assert_no_leaks();
}
