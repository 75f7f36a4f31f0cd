#include <criterion/criterion.h>

#include "coordinator/answers/item_error.h"
#include "unit/leaks.h"

static void expect(const char *error, unsigned attempts, const char *worker, const char *expected)
{
    char text[512];
    struct buf out = {0};
    snprintf(text, sizeof text, "{\"error\":%s}", error);
    struct answer_line line = answer_line_parse(text, strlen(text), true);
    cr_assert_eq(line.kind, ANSWER_ERROR, "%s", text);
    item_error_write(&out, &line, attempts, worker);
    cr_expect_str_eq(buf_cstr(&out), expected);
    buf_release(&out);
}

Test(item_error, what_is_not_said_is_there_all_the_same)
{
    expect(
        "{}", 1, "w",
        "{\"error\":{\"name\":\"task_error\",\"cause\":\"the task gave no cause\",\"signal\":null,\"exit_code\":null,"
        "\"stderr\":\"\",\"attempts\":1,\"worker\":\"w\"}}\n");
    expect("{\"cause\":\"c\",\"signal\":9,\"stderr\":\"s\"}", 3, NULL,
           "{\"error\":{\"cause\":\"c\",\"signal\":9,\"stderr\":\"s\",\"name\":\"task_error\",\"exit_code\":null,"
           "\"attempts\":3,\"worker\":null}}\n");
    assert_no_leaks();
}

Test(item_error, what_is_said_comes_through_as_it_is)
{
    expect(
        "{\"more\":[1,{\"n\":12345678901234567890}],\"name\":\"NotFound\",\"cause\":1e400,\"signal\":null,"
        "\"exit_code\":7,\"stderr\":\"\\ud800\"}",
        1, "w",
        "{\"error\":{\"more\":[1,{\"n\":12345678901234567890}],\"name\":\"NotFound\",\"cause\":1e400,\"signal\":null,"
        "\"exit_code\":7,\"stderr\":\"\\ud800\",\"attempts\":1,\"worker\":\"w\"}}\n");
    assert_no_leaks();
}

Test(item_error, attempts_and_worker_are_ours_to_say)
{
    const char *rest = "\"cause\":\"c\",\"signal\":null,\"exit_code\":null,\"stderr\":\"\"";
    char error[256], expected[256];
    snprintf(error, sizeof error, "{\"name\":\"crashed\",%s,\"attempts\":-5,\"worker\":\"me\"}", rest);
    snprintf(expected, sizeof expected,
             "{\"error\":{\"name\":\"crashed\",%s,\"attempts\":2,\"worker\":\"a \\\"quoted\\\" one\"}}\n", rest);
    expect(error, 2, "a \"quoted\" one", expected);
    snprintf(expected, sizeof expected, "{\"error\":{\"name\":\"crashed\",%s,\"worker\":\"me\",\"attempts\":2}}\n",
             rest);
    expect(error, 2, NULL, expected);
    assert_no_leaks();
}

Test(item_error, a_name_is_one_text_that_is_not_empty)
{
    const char *rest = "\"cause\":\"c\",\"signal\":null,\"exit_code\":null,\"stderr\":\"\"";
    static const char *const bad[] = {"5", "\"\"", "null", "{\"a\":1}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char error[256], expected[256];
        snprintf(error, sizeof error, "{\"name\":%s,%s}", bad[i], rest);
        snprintf(expected, sizeof expected, "{\"error\":{%s,\"name\":\"task_error\",\"attempts\":1,\"worker\":null}}\n",
                 rest);
        expect(error, 1, NULL, expected);
    }
    assert_no_leaks();
}

Test(item_error, only_errors_of_items_without_an_answer_are_unanswered)
{
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        struct buf line = {0};
        item_error_write_own(&line, (enum item_error)e, "why", 0, false);
        bool unanswered = e == ITEM_CANCELLED || e == ITEM_DEADLINE_EXCEEDED;
        cr_assert_eq(item_error_is_unanswered(line.data, line.len), unanswered, "%s", buf_cstr(&line));
        cr_assert(!item_error_is_unanswered(line.data, 10));
        buf_release(&line);
    }
    assert_no_leaks();
}
