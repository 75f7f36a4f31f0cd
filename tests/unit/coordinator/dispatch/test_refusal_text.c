#include <criterion/criterion.h>

#include "coordinator/dispatch/refusal_text.h"
#include "unit/leaks.h"

static void expect(int status, const char *body, const char *wanted)
{
    char text[REFUSAL_TEXT_SIZE];
    struct buf b = {0};
    buf_add_str(&b, body);
    refusal_text_write(text, status, &b);
    cr_assert_str_eq(text, wanted);
    buf_release(&b);
}

Test(refusal_text, the_detail_of_a_problem_is_quoted)
{
    expect(400, "{\"title\":\"Bad Request\",\"detail\":\"the header line is wrong\"}",
           "the worker answered with status 400: the header line is wrong");
    expect(500, "{\"detail\":\"no\"}", "the worker answered with server error 500: no");
    assert_no_leaks();
}

Test(refusal_text, a_body_that_is_no_problem_is_left_out)
{
    static const char *const bodies[] = {
        "",
        "no",
        "<html>",
        "1",
        "[\"detail\"]",
        "[[\"detail\",1]]",
        "{}",
        "{\"detail\":1}",
        "{\"detail\":\"\"}",
        "{\"detail\":\"cut",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) expect(302, bodies[i], "the worker answered with status 302");
    assert_no_leaks();
}

Test(refusal_text, a_long_detail_is_cut_between_two_characters)
{
    for (size_t shift = 0; shift < 3; shift++) {
        char text[REFUSAL_TEXT_SIZE];
        struct buf body = {0};
        buf_add_str(&body, "{\"detail\":\"");
        for (size_t i = 0; i < shift; i++) buf_add_char(&body, 'x');
        for (size_t i = 0; i < 1000; i++) buf_add_str(&body, "\u20ac"); /* three bytes */
        buf_add_str(&body, "\"}");
        refusal_text_write(text, 400, &body);
        size_t begin = strlen("the worker answered with status 400: ") + shift;
        cr_assert_geq(strlen(text), REFUSAL_TEXT_SIZE - 3);
        cr_assert_eq((strlen(text) - begin) % 3, 0);
        buf_release(&body);
    }
    assert_no_leaks();
}
