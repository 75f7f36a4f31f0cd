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
