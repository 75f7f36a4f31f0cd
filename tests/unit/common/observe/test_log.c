#include "common/observe/log.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "unit/leaks.h"

static int ends[2];
static char text[1 << 20];

static void set_up(void)
{
    cr_assert(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_fd(ends[1]);
}

/* Reads the written log, up to the size of `text`. */
static const char *read_all(void)
{
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;) len += (size_t)n;
    text[len] = '\0';
    return text;
}

TestSuite(log, .init = set_up, .timeout = 30);

Test(log, a_line_is_a_json_object_with_typed_fields)
{
    log_warn("a \"quoted\" message", LOG_STR("job", "j\n1"), LOG_U64("n", 3), LOG_I64("i", -4), LOG_F64("f", 1.5),
             LOG_BOOL("b", true), LOG_MS("duration_ms", 1234567), LOG_STRN("part", "abcdef", 3), LOG_STR("none", NULL),
             LOG_F64("nan", NAN));
    cJSON *line = cJSON_Parse(read_all());
    cr_assert_not_null(line, "%s", text);
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "level")), "warn");
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "msg")), "a \"quoted\" message");
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "job")), "j\n1");
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "part")), "abc");
    cr_assert_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(line, "n")), 3);
    cr_assert_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(line, "i")), -4);
    cr_assert_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(line, "f")), 1.5);
    cr_assert_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(line, "duration_ms")), 1.235);
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(line, "b")));
    cr_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "nan")));
    cr_assert_null(cJSON_GetObjectItem(line, "none"));
    const char *ts = cJSON_GetStringValue(cJSON_GetObjectItem(line, "ts"));
    cr_assert_eq(strlen(ts), strlen("2025-01-31T12:00:00.123Z"));
    cr_assert(ts[10] == 'T' && ts[19] == '.' && ts[23] == 'Z', "%s", ts);
    cr_assert(strchr(text, '\n')[1] == '\0');
    cJSON_Delete(line);
    assert_no_leaks();
}

Test(log, a_plain_line_is_for_people)
{
    log_set_plain(true);
    log_warn("a message", LOG_STR("job", "j\n1 2"), LOG_U64("n", 3), LOG_STR("none", NULL), LOG_BOOL("b", true));
    log_set_service("worker");
    log_error("another one");
    cr_assert_str_eq(read_all(), "fantail: warn: a message: job=\"j\\n1 2\" n=3 b=true\nworker: error: another one\n");
    log_set_plain(false);
    log_set_service(NULL);
    assert_no_leaks();
}

Test(log, a_plain_line_says_nothing_twice)
{
    const struct log_field said = LOG_SAID(LOG_STR("task", "t"));
    log_set_plain(true);
    log_error("task t cannot start.", said);
    log_error("task t cannot start.", said, LOG_U64("n", 3));
    cr_assert_str_eq(read_all(), "fantail: error: task t cannot start.\nfantail: error: task t cannot start. n=3\n");
    log_set_plain(false);
    log_error("task t cannot start.", said);
    cr_assert(strstr(read_all(), "\"task\":\"t\""));
    assert_no_leaks();
}

static int evaluated;

static uint64_t evaluate(void)
{
    evaluated++;
    return 1;
}

Test(log, a_line_below_the_level_is_neither_written_nor_evaluated)
{
    log_debug("quiet", LOG_U64("n", evaluate()));
    cr_assert_str_eq(read_all(), "");
    cr_assert_eq(evaluated, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("loud", LOG_U64("n", evaluate()));
    cr_assert(strstr(read_all(), "loud"));
    cr_assert_eq(evaluated, 1);
}

Test(log, a_reader_that_sleeps_never_blocks_and_losses_are_counted_and_told)
{
    static char pad[1000];
    memset(pad, 'x', sizeof pad);
    for (int i = 0; i < 2000; i++) log_info("line", LOG_STRN("pad", pad, sizeof pad));
    size_t got = 0;
    for (int i = 0; i < 100; i++) {
        got += strlen(read_all());
        log_flush();
    }
    cr_assert_gt(got, 0);
    log_info("after");
    const char *now = read_all();
    cr_assert(strstr(now, "log lines were dropped"), "%s", now);
    cr_assert(strstr(now, "after"));
    cr_assert_eq(text[0], '{');
}

Test(log, deferred_lines_wait_for_the_flush_but_errors_do_not)
{
    log_set_deferred(true);
    log_info("one");
    cr_assert_str_eq(read_all(), "");
    log_error("two");
    cr_assert(strstr(read_all(), "one"));
    log_info("three");
    log_flush();
    cr_assert(strstr(read_all(), "three"));
}

Test(log, every_line_carries_the_service)
{
    log_set_service("worker");
    log_info("x");
    cr_assert(strstr(read_all(), "\"service\":\"worker\""));
}
