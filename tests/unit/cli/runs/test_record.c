/* The records of commands, as the client reads them. */
#include <criterion/criterion.h>

#include "cli/runs/record.h"

static bool read(const char *json, struct run_record *r)
{
    return run_record_read((struct json_slice){json, strlen(json)}, r);
}

Test(record, all_members_are_read)
{
    struct run_record r;
    cr_assert(read(
        "{\"index\":7,\"worker\":\"w\",\"slot\":2,\"attempt\":3,\"start_us\":4,\"took_us\":5,\"exit\":-1,\"signal\":9,"
        "\"peak_bytes\":6,\"sent\":1,\"received\":8,\"command\":\"c\",\"output\":\"o\"}",
        &r));
    cr_assert_eq(r.index, 7);
    static const int64_t wanted[] = {2, 3, 4, 5, -1, 9, 6, 1, 8};
    cr_assert_arr_eq(r.numbers, wanted, sizeof wanted);
    cr_assert_eq(strncmp(r.output.data, "\"o\"", r.output.len), 0);
    cr_assert_eq(r.error.len, 0);
    cr_assert_not(r.halted);
}

Test(record, a_halted_item_has_only_its_index)
{
    struct run_record r;
    cr_assert(read("{\"index\":7,\"halted\":true}", &r));
    cr_assert(r.halted);
    cr_assert_eq(r.index, 7);
}

Test(record, another_value_is_no_record)
{
    static const char *const bad[] = {"1",
                                      "null",
                                      "{}",
                                      "[0]",
                                      "\"index\"",
                                      "{\"index\":1}",
                                      "{\"output\":1,\"index\":0}",
                                      "{\"index\":0,\"command\":\"c\"}"};
    struct run_record r;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(read(bad[i], &r), "%s", bad[i]);
}

static void assert_error(const char *error, const char *wanted)
{
    struct run_record r = {
        .numbers = {[RUN_RECORD_ATTEMPT] = 2}, .worker = {"\"w\"", 3}, .error = {error, strlen(error)}};
    struct buf json = {0};
    run_record_add_error(&r, &json);
    cr_assert_str_eq(buf_cstr(&json), wanted);
    buf_release(&json);
}

Test(record, the_error_gets_the_members_that_it_lacks)
{
    assert_error("{\"name\":\"task_error\",\"exit_code\":1}",
                 "{\"name\":\"task_error\",\"exit_code\":1,\"signal\":null,\"attempts\":2,\"worker\":\"w\"}");
    assert_error("{\"name\":\"crashed\",\"signal\":9}",
                 "{\"name\":\"crashed\",\"signal\":9,\"exit_code\":null,\"attempts\":2,\"worker\":\"w\"}");
}

Test(record, an_item_without_a_record_has_the_numbers_of_its_error)
{
    static const struct {
        const char *error;
        int64_t attempts, exit, signal;
        const char *worker;
    } cases[] = {
        {"{\"name\":\"crashed\",\"signal\":9,\"exit_code\":null,\"attempts\":2,\"worker\":\"w\"}", 2, 0, 9, "\"w\""},
        {"{\"name\":\"crashed\",\"signal\":null,\"exit_code\":3,\"attempts\":1,\"worker\":\"w\"}", 1, 3, 0, "\"w\""},
        {"{\"name\":\"crashed\",\"signal\":null,\"exit_code\":0,\"attempts\":1,\"worker\":\"w\"}", 1, -1, 0, "\"w\""},
        {"{\"name\":\"coordinator_lost\",\"signal\":null,\"exit_code\":null,\"attempts\":1,\"worker\":null}", 1, -1, 0,
         "null"},
        {"{\"name\":\"own\",\"signal\":\"x\",\"exit_code\":[]}", 0, -1, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run_record r;
        run_record_of_error(&r, 7, (struct json_slice){cases[i].error, strlen(cases[i].error)});
        cr_assert_eq(r.index, 7);
        cr_assert_eq(r.numbers[RUN_RECORD_ATTEMPT], cases[i].attempts, "%s", cases[i].error);
        cr_assert_eq(r.numbers[RUN_RECORD_EXIT], cases[i].exit, "%s", cases[i].error);
        cr_assert_eq(r.numbers[RUN_RECORD_SIGNAL], cases[i].signal, "%s", cases[i].error);
        cr_assert_eq(r.worker.len, strlen(cases[i].worker));
        cr_assert_eq(strncmp(r.worker.data ? r.worker.data : "", cases[i].worker, r.worker.len), 0);
    }
}
