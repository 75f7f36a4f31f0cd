/* The options that may change while a job runs. */
#include <criterion/criterion.h>

#include "coordinator/items/jobspec.h"
#include "unit/leaks.h"

static bool read_changes(struct jobspec *spec, const char *json, struct jobspec_error *err)
{
    jobspec_init(spec);
    return jobspec_read_changes(spec, json, strlen(json), err);
}

Test(jobspec_changes, each_option_is_read_and_null_is_its_default)
{
    static const struct {
        const char *patch, *written, *shown;
    } rows[] = {
        {"{}", "{}",
         "{\"max_concurrency\":0,\"priority\":5,\"tolerated_failure_count\":null,\"tolerated_failure_percentage\":100,"
         "\"deadline_s\":0,\"max_rate\":0}"},
        {" {\"max_rate\":0.25,\"priority\":9, \"max_concurrency\":2,\"deadline_s\":1.5,\"tolerated_failure_count\":0,"
         "\"tolerated_failure_percentage\":12.5} ",
         "{\"max_concurrency\":2,\"priority\":9,\"tolerated_failure_count\":0,\"tolerated_failure_percentage\":12.5,"
         "\"deadline_s\":1.5,\"max_rate\":0.25}",
         "{\"max_concurrency\":2,\"priority\":9,\"tolerated_failure_count\":0,\"tolerated_failure_percentage\":12.5,"
         "\"deadline_s\":1.5,\"max_rate\":0.25}"},
        {"{\"priority\":null,\"tolerated_failure_count\":null,\"deadline_s\":null}",
         "{\"priority\":5,\"tolerated_failure_count\":9007199254740991,\"deadline_s\":0}",
         "{\"max_concurrency\":0,\"priority\":5,\"tolerated_failure_count\":null,\"tolerated_failure_percentage\":100,"
         "\"deadline_s\":0,\"max_rate\":0}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct jobspec spec, again;
        struct jobspec_error err;
        struct buf written = {0}, shown = {0};
        cr_assert(read_changes(&spec, rows[i].patch, &err), "%s", err.detail);
        jobspec_write_changes(&spec, &written);
        cr_expect_str_eq(buf_cstr(&written), rows[i].written);
        cr_assert(read_changes(&again, buf_cstr(&written), &err), "%s", err.detail);
        jobspec_write_changeable(&again, &shown);
        cr_expect_str_eq(buf_cstr(&shown), rows[i].shown);
        jobspec_release(&spec);
        jobspec_release(&again);
        buf_release(&written);
        buf_release(&shown);
    }
    assert_no_leaks();
}

Test(jobspec_changes, faults_are_told_with_their_place)
{
    static const struct {
        const char *patch, *pointer;
    } rows[] = {
        {"", ""},
        {"[]", ""},
        {"7", ""},
        {"{\"priority\":", ""},
        {"{\"priority\":10}", "/priority"},
        {"{\"priority\":\"5\"}", "/priority"},
        {"{\"priority\":2.5}", "/priority"},
        {"{\"priority\":[1]}", "/priority"},
        {"{\"priority\":{}}", "/priority"},
        {"{\"priority\":true}", "/priority"},
        {"{\"priority\":1,\"priority\":2}", "/priority"},
        {"{\"priority\":1,\"priority\":null}", "/priority"},
        {"{\"max_concurrency\":-1}", "/max_concurrency"},
        {"{\"max_rate\":-1}", "/max_rate"},
        {"{\"tolerated_failure_count\":-1}", "/tolerated_failure_count"},
        {"{\"tolerated_failure_percentage\":101}", "/tolerated_failure_percentage"},
        {"{\"deadline_s\":1e99}", "/deadline_s"},
        {"{\"task\":\"x\"}", "/task"},
        {"{\"labels\":null}", "/labels"},
        {"{\"prio\":1}", "/prio"},
        {"{\"\":1}", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct jobspec spec;
        struct jobspec_error err = {0};
        cr_expect_not(read_changes(&spec, rows[i].patch, &err), "%s", rows[i].patch);
        cr_expect_eq(err.status, 400);
        cr_expect_str_eq(err.pointer, rows[i].pointer, "%s: %s", rows[i].patch, err.pointer);
        cr_expect(err.detail[0]);
        jobspec_release(&spec);
    }
    assert_no_leaks();
}
