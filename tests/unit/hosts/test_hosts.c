#include <criterion/criterion.h>
#include <unistd.h>

#include "hosts/exec_answer.h"
#include "hosts/exec_item.h"
#include "hosts/fantail_task.h"
#include "hosts/line_io.h"
#include "unit/leaks.h"

TestSuite(hosts);

static struct fantail_item item_of(const char *json)
{
    return (struct fantail_item){.json = json, .len = strlen(json)};
}

/* ---- fantail_task.h ---- */

Test(hosts, only_integers_within_their_range_are_read_as_integers)
{
    static const struct {
        const char *json;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"42", true, 42},
        {"-7", true, -7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551617", false, 0},
        {"99999999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"-", false, 0},
        {"", false, 0},
        {"\"1\"", false, 0},
        {"null", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fantail_item item = item_of(cases[i].json);
        int64_t value = 12345;
        cr_assert_eq(fantail_get_integer(&item, &value), cases[i].ok, "%s", cases[i].json);
        cr_assert_eq(value, cases[i].ok ? cases[i].value : 12345, "%s", cases[i].json);
    }
}

Test(hosts, numbers_are_read_and_strings_and_infinities_are_not)
{
    double value = 1;
    struct fantail_item item = item_of("-2.5e-1");
    cr_assert(fantail_get_number(&item, &value));
    cr_assert_eq(value, -0.25);
    static const char *const refused[] = {"\"1\"", "1e999", "true", "", "[1]"};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        item = item_of(refused[i]);
        cr_assert_not(fantail_get_number(&item, &value), "%s", refused[i]);
    }
}

Test(hosts, strings_are_read_without_escapes_if_there_is_enough_room)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u00e4\\u20AC\\ud83d\\ude00z\"", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fantail_item item = item_of(cases[i].json);
        size_t needed = strlen(cases[i].text) + 1, len = 0;
        cr_assert_leq(needed, item.len);
        for (size_t size = 0; size <= item.len; size++) {
            char *text = malloc(size + 1);
            bool read = fantail_get_string(&item, text, size, &len);
            cr_assert_eq(read, size >= needed, "%s in %zu", cases[i].json, size);
            if (read) cr_assert_str_eq(text, cases[i].text);
            if (read) cr_assert_eq(len, needed - 1);
            free(text);
        }
    }
    static const char *const refused[] = {"12", "\"\\ud83d\"", "\"\\ude00\\ud83d\"", "\"a\\ud83d\\u0041\"",
                                          "\"\\ud83dx\""};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct fantail_item item = item_of(refused[i]);
        cr_assert_not(fantail_get_string(&item, (char[40]){0}, 40, NULL), "%s", refused[i]);
    }
    assert_no_leaks();
}

Test(hosts, members_are_found_after_nested_values_and_strings_that_look_like_them)
{
    struct fantail_item item = item_of("{ \"a\" : {\"stop\":1,\"x\":[{}, \"]}\"]} , \"t\":\"\\\"stop\\\":2,\\\\\",\n"
                                       "\"e\":[],\"n\":null,\"f\":-1.5 ,\"stop\":77}");
    struct fantail_item member;
    int64_t value;
    double number;
    cr_assert(fantail_get_member_integer(&item, "stop", &value));
    cr_assert_eq(value, 77);
    cr_assert(fantail_get_member_number(&item, "f", &number));
    cr_assert_eq(number, -1.5);
    cr_assert(fantail_get_member(&item, "a", &member));
    cr_assert_eq(member.json[0], '{');
    cr_assert(fantail_get_member_integer(&member, "stop", &value));
    cr_assert_eq(value, 1);
    cr_assert(fantail_get_member(&item, "n", &member));
    cr_assert_eq(member.len, 4);
    cr_assert_not(fantail_get_member(&item, "sto", &member));
    cr_assert_not(fantail_get_member(&item, "x", &member));
    cr_assert_not(fantail_get_member_integer(&item, "f", &value));
}

Test(hosts, a_value_that_is_not_an_object_has_no_members)
{
    static const char *const none[] = {"{}", "[]", "1", "\"{\"", "", "null", "{ }"};
    struct fantail_item member;
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        struct fantail_item item = item_of(none[i]);
        cr_assert_not(fantail_get_member(&item, "a", &member), "%s", none[i]);
    }
}

static char reply_bytes[4096];

static void no_growth(struct fantail_reply *reply, size_t extra)
{
    cr_assert_fail("the reply needs %zu bytes more", extra);
}

static const char *reply_text(struct fantail_reply *reply)
{
    reply->data[reply->len] = '\0';
    return reply->data;
}

Test(hosts, replies_are_json_text_and_each_replaces_the_one_before)
{
    struct fantail_reply reply = {.data = reply_bytes, .room = sizeof reply_bytes - 1, .grow = no_growth};
    cr_assert_eq(fantail_reply_integer(&reply, INT64_MIN), 0);
    cr_assert_str_eq(reply_text(&reply), "-9223372036854775808");
    fantail_reply_integer(&reply, 0);
    cr_assert_str_eq(reply_text(&reply), "0");
    fantail_reply_number(&reply, 0.1);
    cr_assert_str_eq(reply_text(&reply), "0.1");
    fantail_reply_number(&reply, 1.0 / 3);
    cr_assert_str_eq(reply_text(&reply), "0.3333333333333333");
    fantail_reply_value(&reply, "[1,\n2]", 6);
    cr_assert_str_eq(reply_text(&reply), "[1, 2]");
    cr_assert_eq(fantail_reply_string(&reply, "a\"\\\n\x01\xc3\xa4", 7), 0);
    cr_assert_str_eq(reply_text(&reply), "\"a\\\"\\\\\\u000a\\u0001\xc3\xa4\"");
    cr_assert_eq(fantail_reply_error(&reply, "no %d", 5), 1);
    cr_assert(reply.failed);
    cr_assert_str_eq(reply_text(&reply), "no 5");
    cr_assert_eq(fantail_reply_number(&reply, INFINITY), 1);
    cr_assert(reply.failed);
    fantail_reply_integer(&reply, 3);
    cr_assert_not(reply.failed);
}

Test(hosts, a_long_error_message_is_not_cut_within_a_character)
{
    struct fantail_reply reply = {.data = reply_bytes, .room = sizeof reply_bytes - 1, .grow = no_growth};
    char message[2001];
    for (size_t i = 0; i < 2000; i += 2) memcpy(message + i, "\xC3\xA9", 2);
    message[2000] = '\0';
    fantail_reply_error(&reply, "%sx%s", "a", message);
    cr_assert(reply.len > 990 && reply.len < 1000);
    cr_assert_eq(reply.len % 2, 0, "the text ends after a two-byte character");
}

/* ---- line_io.h ---- */

Test(hosts, lines_are_whole_wherever_the_input_was_cut)
{
    static const char input[] = "1\n\"two\"\n\n[3]\ncut off";
    static const char *const expected[] = {"1", "\"two\"", "", "[3]"};
    for (size_t piece = 1; piece < sizeof input; piece++) {
        struct line_reader reader = {0};
        size_t seen = 0, len;
        char *line;
        int fds[2];
        cr_assert_eq(pipe(fds), 0);
        for (size_t at = 0; at < sizeof input - 1; at += piece) {
            size_t left = sizeof input - 1 - at;
            cr_assert(write_all(fds[1], input + at, left < piece ? left : piece));
            cr_assert(line_reader_fill(&reader, fds[0]));
            for (; line_reader_next(&reader, &line, &len); seen++) cr_assert_str_eq(line, expected[seen]);
        }
        close(fds[1]);
        cr_assert_not(line_reader_fill(&reader, fds[0]));
        cr_assert_eq(seen, ARRAY_SIZE(expected));
        close(fds[0]);
        line_reader_release(&reader);
    }
    assert_no_leaks();
}

Test(hosts, control_lines_set_the_common_value_and_unknown_ones_do_nothing)
{
    struct line_common common = {0};
    line_read_control(&common, "#unknown 1", 10);
    cr_assert_null(common.json);
    line_read_control(&common, "#common {\"a\":1}", 15);
    cr_assert_str_eq(common.json, "{\"a\":1}");
    line_read_control(&common, "#common 2", 9);
    cr_assert_str_eq(common.json, "2");
    cr_assert_eq(common.len, 1);
    line_common_release(&common);
    assert_no_leaks();
}

static void read_control(struct line_common *common, const char *line)
{
    line_read_control(common, line, strlen(line));
}

Test(hosts, control_lines_name_the_span_until_the_next_one_does)
{
    struct line_common common = {0};
    read_control(&common, "#traceparent 00-a-b-01");
    read_control(&common, "#tracestate a=1,b=2");
    cr_assert_str_eq(common.traceparent, "00-a-b-01");
    cr_assert_str_eq(common.tracestate, "a=1,b=2");
    read_control(&common, "#traceparents 1");
    cr_assert_str_eq(common.traceparent, "00-a-b-01");
    read_control(&common, "#traceparent 00-c-d-00");
    cr_assert_str_eq(common.traceparent, "00-c-d-00");
    cr_assert_null(common.tracestate);
    read_control(&common, "#traceparent");
    cr_assert_null(common.traceparent);
    cr_assert_null(common.json);
    line_common_release(&common);
    assert_no_leaks();
}

/* ---- exec_item.h ---- */

Test(hosts, strings_lose_their_quotes_and_escapes_and_other_values_stay_json)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"plain\"", "plain"},
        {"\"\"", ""},
        {"\"a\\n\\t\\\"\\\\\\/b\"", "a\n\t\"\\/b"},
        {"\"\\u00e9\\u20AC\"", "\xC3\xA9\xE2\x82\xAC"},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
        {"12", "12"},
        {"{\"a\":\"b\"}", "{\"a\":\"b\"}"},
    };
    struct buf text = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        buf_clear(&text);
        cr_assert(exec_item_add_text(cases[i].json, strlen(cases[i].json), &text), "%s", cases[i].json);
        cr_assert_str_eq(buf_cstr(&text), cases[i].text, "%s", cases[i].json);
    }
    static const char *const malformed[] = {
        "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud83dx\"", "\"\\ude00\\ud83d\""};
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
        cr_assert_not(exec_item_add_text(malformed[i], strlen(malformed[i]), &text), "%s", malformed[i]);
    buf_release(&text);
    assert_no_leaks();
}

/* ---- exec_answer.h ---- */

static void check_output(enum exec_output output, const char *printed, const char *expected)
{
    struct buf line = {0};
    struct runner runner = {0};
    buf_add_str(&runner.out, printed);
    exec_answer(&line, output, &runner, "program", (struct run_outcome){RUN_EXITED, 0});
    cr_assert_str_eq(buf_cstr(&line), expected, "%s", printed);
    buf_release(&line);
    buf_release(&runner.out);
}

Test(hosts, output_becomes_the_value_in_the_requested_way)
{
    check_output(EXEC_OUTPUT_AUTO, "5\n", "{\"value\":5}\n");
    check_output(EXEC_OUTPUT_AUTO, " {\"a\":\n1}\n\n", "{\"value\":{\"a\": 1}}\n");
    check_output(EXEC_OUTPUT_AUTO, "007\n", "{\"value\":\"007\"}\n");
    check_output(EXEC_OUTPUT_AUTO, "1 2\r\n", "{\"value\":\"1 2\"}\n");
    check_output(EXEC_OUTPUT_AUTO, "", "{\"value\":\"\"}\n");
    check_output(EXEC_OUTPUT_TEXT, "5\n\n", "{\"value\":\"5\\n\"}\n");
    check_output(EXEC_OUTPUT_LINES, "a\n\n\"b\"", "{\"value\":[\"a\",\"\",\"\\\"b\\\"\"]}\n");
    check_output(EXEC_OUTPUT_LINES, "", "{\"value\":[]}\n");
    check_output(EXEC_OUTPUT_JSON, "[1]\n", "{\"value\":[1]}\n");
    check_output(EXEC_OUTPUT_JSON, "oops",
                 "{\"error\":{\"name\":\"bad_output\",\"cause\":\"the output is not one JSON value\"}}\n");
    assert_no_leaks();
}
