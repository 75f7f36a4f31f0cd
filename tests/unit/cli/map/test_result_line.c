/* Result lines: the fast and the slow way of reading a line, and lines that no coordinator writes. */
#include <criterion/criterion.h>

#include "cli/map/result_line.h"

static struct result_line read_line(const char *line)
{
    return result_line_read(line, strlen(line));
}

Test(result_line, a_result_reads_the_same_in_both_ways)
{
    static const char *const lines[] = {"{\"type\":\"result\",\"index\":70,\"value\":[1,\"}\"]}",
                                        "{\"type\":\"result\", \"index\":70, \"value\":[1,\"}\"]}"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct result_line r = read_line(lines[i]);
        cr_assert_eq(r.kind, RESULT_VALUE);
        cr_assert(r.has_index);
        cr_assert_eq(r.index, 70);
        cr_assert_eq(r.len, 7);
        cr_assert_eq(memcmp(r.body, "[1,\"}\"]", 7), 0);
    }
}

Test(result_line, the_end_has_its_status_and_counts)
{
    struct result_line r = read_line("{\"type\":\"end\",\"status\":\"partial\",\"counts\":{\"total\":9,\"failed\":2}}");
    cr_assert_eq(r.kind, RESULT_END);
    cr_assert_eq(memcmp(r.body, "partial", 7), 0);
    cr_assert_eq(r.total, 9);
    cr_assert_eq(r.failed, 2);
}

Test(result_line, an_error_can_be_that_of_several_items)
{
    struct result_line r = read_line("{\"type\":\"error\",\"index\":7,\"count\":3,\"error\":{\"count\":9}}");
    cr_assert_eq(r.kind, RESULT_ERROR);
    cr_assert_eq(r.index, 7);
    cr_assert_eq(r.count, 3);
    cr_assert_eq(read_line("{\"type\":\"error\",\"index\":7,\"error\":{}}").count, 1);
}

Test(result_line, a_line_of_an_unknown_type_is_not_a_bad_line)
{
    cr_assert_eq(read_line("{\"type\":\"news\",\"x\":1}").kind, RESULT_OTHER);
    cr_assert_eq(read_line("{\"type\":\"start\",\"id\":\"0195\"}").kind, RESULT_OTHER);
    cr_assert_eq(read_line("{\"type\":\"heartbeat\"}").kind, RESULT_OTHER);
    cr_assert_eq(read_line("{\"type\":\"result\",\"index\":1}").kind, RESULT_BAD);
    cr_assert_eq(read_line("{\"index\":1,\"type\":\"result\",\"value\":1}").kind, RESULT_BAD);
    cr_assert_eq(read_line("[1]").kind, RESULT_BAD);
    cr_assert_eq(read_line("{\"type\":\"result\",\"index\":1,\"value\":1").kind, RESULT_BAD);
    cr_assert_eq(read_line("").kind, RESULT_BAD);
}

Test(result_line, a_cancelled_item_tells_whether_it_was_sent)
{
    static const struct {
        const char *error;
        enum result_cut cut;
    } rows[] = {
        {"{\"name\":\"cancelled\",\"cause\":\"x\",\"sent\":true}", RESULT_CUT_SENT},
        {"{\"sent\":false,\"name\":\"cancelled\"}", RESULT_CUT_UNSENT},
        {"{\"name\":\"cancelled\"}", RESULT_NOT_CUT},
        {"{\"name\":\"deadline_exceeded\",\"sent\":true}", RESULT_NOT_CUT},
        {"{\"name\":\"task_error\",\"sent\":true}", RESULT_NOT_CUT},
        {"7", RESULT_NOT_CUT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"type\":\"error\",\"index\":1,\"error\":%s}", rows[i].error);
        struct result_line r = read_line(line);
        cr_assert_eq(result_line_cut(&r), rows[i].cut, "%s", line);
    }
    struct result_line r = read_line("{\"type\":\"end\",\"status\":\"cancelled\",\"draining\":true}");
    cr_assert(r.draining && result_line_cut(&r) == RESULT_NOT_CUT);
    cr_assert_not(read_line("{\"type\":\"end\",\"status\":\"cancelled\"}").draining);
}
