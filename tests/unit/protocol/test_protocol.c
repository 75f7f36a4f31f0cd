#include "protocol/protocol.h"

#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "unit/json_suite.h"

/* Returns the kind of the line. The line is read from an allocation of exactly its size. */
static enum answer_kind kind_of(const char *line, bool strict)
{
    size_t len = strlen(line);
    char *exact = xmalloc(len);
    memcpy(exact, line, len);
    struct answer_line a = answer_line_parse(exact, len, strict);
    free(exact);
    return a.kind;
}

static void expect_value(const char *line, const char *body)
{
    for (int strict = 0; strict < 2; strict++) {
        struct answer_line a = answer_line_parse(line, strlen(line), strict);
        cr_assert_eq(a.kind, ANSWER_VALUE, "%s", line);
        cr_assert(a.body_len == strlen(body) && memcmp(a.body, body, a.body_len) == 0, "%s", line);
    }
}

Test(protocol, every_spelling_of_a_value_line_is_read)
{
    expect_value("{\"value\":1}", "1");
    expect_value("{\"value\":\"a}b\"}", "\"a}b\"");
    expect_value("{\"value\": [1, 2] }", "[1, 2]");
    expect_value("{ \"value\" : 1 }", "1");
    expect_value(" {\"value\":null}\r", "null");
    expect_value("{\"took\":3,\"value\":true}", "true");
    expect_value("{\"val\\u0075e\":{}}", "{}");
    assert_no_leak();
}

Test(protocol, a_member_behind_the_value_is_left_out)
{
    const char line[] = "{\"value\":1,\"took\":{\"value\":2}}";
    struct answer_line a = answer_line_parse(line, strlen(line), true);
    cr_assert_eq(a.kind, ANSWER_VALUE);
    cr_assert(a.body_len == 1 && *a.body == '1');
}

Test(protocol, lines_that_are_no_answer_are_bad)
{
    static const char *const bad[] = {
        "",
        "{",
        "}",
        "{}",
        "1",
        "[]",
        "[\"value\",1]",
        "null",
        "{\"value\":}",
        "{\"value\":1",
        "{\"value\":1}}",
        "{\"value\":1}x",
        "{\"value\":01}",
        "{\"value\":1,}",
        "{\"value\":1,\"value\":2}",
        "{\"value\":1,\"error\":{}}",
        "{\"error\":{},\"error\":{}}",
        "{\"error\":\"x\"}",
        "{\"error\":null}",
        "{\"error\":{}",
        "{\"Value\":1}",
        "{\"value\":1,\"end\":\"complete\",\"done\":1}",
        "{\"end\":\"complete\"}",
        "{\"end\":\"bored\",\"done\":1}",
        "{\"end\":\"complete\",\"done\":-1}",
        "{\"end\":\"complete\",\"done\":1.0}",
        "{\"end\":\"complete\",\"done\":\"1\"}",
        "{\"end\":\"complete\",\"done\":9999999999999999999}",
        "{\"done\":1}",
        "{\"value\":\"\xFF\"}",
        "{\"cost\":1}",
        "{\"cost\":{\"items\":1.5}}",
        "{\"cost\":{\"slot_s\":-1}}",
        "{\"cost\":{\"slot_s\":\"1\"}}",
        "{\"cost\":{},\"value\":1,\"error\":{}}",
        "{\"end\":\"complete\",\"done\":1,\"done\":2}",
        "{\"error\":{\"name\":\"crashed\",\"name\":\"timed_out\"}}",
        "{\"value\":1,\"\\u0076alue\":2}",
        "{\"value\":1,\"x\\u0000\":2}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_eq(kind_of(bad[i], true), ANSWER_BAD, "%s", bad[i]);
    assert_no_leak();
}

Test(protocol, errors_carry_their_object_and_their_name)
{
    const char line[] = "{\"error\": {\"cause\":\"no\",\"name\":\"timed_out\"} }";
    struct answer_line a = answer_line_parse(line, strlen(line), true);
    cr_assert_eq(a.kind, ANSWER_ERROR);
    cr_assert_eq(a.error, ITEM_TIMED_OUT);
    cr_assert(a.body_len == 33 && a.body[0] == '{' && a.body[32] == '}');
    const char own[] = "{\"error\":{\"name\":\"ValueError\"}}", none[] = "{\"error\":{}}";
    cr_assert_eq(answer_line_parse(own, strlen(own), true).error, ITEM_TASK_ERROR);
    cr_assert_eq(answer_line_parse(none, strlen(none), true).kind, ANSWER_ERROR);
}

Test(protocol, ends_tell_how_and_how_far)
{
    const char line[] = "{\"end\":\"draining\",\"done\":17}", other[] = "{\"done\":0, \"end\":\"deadline\"}";
    struct answer_line a = answer_line_parse(line, strlen(line), false);
    cr_assert_eq(a.kind, ANSWER_END);
    cr_assert_eq(a.end, CHUNK_DRAINING);
    cr_assert_eq(a.done, 17);
    a = answer_line_parse(other, strlen(other), true);
    cr_assert(a.kind == ANSWER_END && a.end == CHUNK_DEADLINE && a.done == 0);
}

Test(protocol, a_line_of_cost_and_an_end_say_what_items_cost)
{
    const char line[] = "{\"cost\":{\"items\":64,\"slot_s\":0.25,\"chunk_s\":0.00003}}";
    struct answer_line a = answer_line_parse(line, strlen(line), true);
    cr_assert_eq(a.kind, ANSWER_COST);
    cr_assert(a.cost.items == 64 && a.cost.slot_ns == 250000000 && a.cost.chunk_ns == 30000);
    const char end[] = "{\"end\":\"complete\",\"done\":3,\"cost\":{\"items\":2,\"slot_s\":1e-3}}";
    a = answer_line_parse(end, strlen(end), true);
    cr_assert(a.kind == ANSWER_END && a.done == 3 && a.cost.items == 2 && a.cost.slot_ns == 1000000);
    const char odd[] = "{\"end\":\"complete\",\"done\":3,\"cost\":{\"items\":2,\"slot_s\":\"long\"}}";
    a = answer_line_parse(odd, strlen(odd), true);
    cr_assert(a.kind == ANSWER_END && a.cost.items == 0, "an end whose cost cannot be read is an end");
}

Test(protocol, error_names_go_there_and_back)
{
    for (int i = 0; i < ITEM_ERROR_COUNT; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "{\"error\":{\"name\":\"%s\"}}", item_error_name((enum item_error)i));
        struct answer_line a = answer_line_parse(line, (size_t)len, true);
        cr_assert_eq(a.kind, ANSWER_ERROR);
        /* If a task reports the error "cancelled" for an item, the item has failed, because its job was not cancelled.
         */
        cr_assert_eq((int)a.error, i < ITEM_CANCELLED ? i : ITEM_TASK_ERROR);
    }
}

static void check_case(const char *name, char verdict, const char *data, size_t len)
{
    struct buf line = {0};
    cr_assert(buf_add_str(&line, "{\"value\":") && buf_add(&line, data, len) && buf_add_char(&line, '}'));
    struct answer_line a = answer_line_parse(line.data, line.len, true);
    if (verdict == 'y') cr_assert_eq(a.kind, ANSWER_VALUE, "%s", name);
    if (verdict == 'n') cr_assert_eq(a.kind, ANSWER_BAD, "%s", name);
    buf_release(&line);
}

Test(protocol, values_are_held_to_the_json_test_suite)
{
    cr_assert_eq(json_suite_each(check_case), 318);
    assert_no_leak();
}

/* A fast reader reads lines in the form that our workers write. With a space before it, the same line is read by the
 * general reader. */
Test(protocol, an_end_is_read_alike_by_both_readers)
{
    static const char *const lines[] = {
        "{\"end\":\"complete\",\"done\":5}",
        "{\"end\":\"draining\",\"done\":0}",
        "{\"end\":\"deadline\",\"done\":123456789012345678}",
        "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":5,\"slot_s\":0.000012345}}",
        "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":5,\"slot_s\":0.000012345,\"chunk_s\":12.000000001}}",
        "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":0,\"slot_s\":999999.999999999}}",
        "{\"end\":\"complete\",\"done\":1,\"cost\":{\"items\":1,\"slot_s\":1000000000.000000000}}",
        "{\"end\":\"complete\",\"done\":1,\"cost\":{\"items\":1,\"slot_s\":0.0000000001}}",
        "{\"end\":\"complete\",\"done\":1,\"cost\":{\"items\":01,\"slot_s\":0.000000001}}",
        "{\"end\":\"complete\",\"done\":01}",
        "{\"end\":\"complete\",\"done\":}",
        "{\"end\":\"complete\",\"done\":1234567890123456789}",
        "{\"end\":\"completed\",\"done\":5}",
        "{\"end\":\"complete\",\"done\":5}}",
        "{\"end\":\"complete\",\"done\":5",
        "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":5,\"slot_s\":0.000012345}",
        "{\"end\":\"complete\",\"done\":5,\"cost\":{\"items\":5,\"slot_s\":0.000012345,\"more\":[]}}",
        "{\"end\":\"complete\",\"done\":5,\"error\":{}}",
        "{\"end\":\"complete\",\"done\":5,\"done\":6}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char spaced[256];
        snprintf(spaced, sizeof spaced, " %s", lines[i]);
        struct answer_line a = answer_line_parse(lines[i], strlen(lines[i]), true);
        struct answer_line b = answer_line_parse(spaced, strlen(spaced), true);
        cr_assert_eq(a.kind, b.kind, "%s", lines[i]);
        cr_assert_eq(a.end, b.end, "%s", lines[i]);
        cr_assert_eq(a.done, b.done, "%s", lines[i]);
        cr_assert(a.cost.items == b.cost.items && a.cost.slot_ns == b.cost.slot_ns &&
                      a.cost.chunk_ns == b.cost.chunk_ns,
                  "%s", lines[i]);
    }
}
