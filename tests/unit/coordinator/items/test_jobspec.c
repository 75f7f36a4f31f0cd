#include "coordinator/items/jobspec.h"

#include <criterion/criterion.h>
#include <math.h>

#include "common/json/json_scan.h"
#include "protocol/protocol.h"
#include "unit/json_suite.h"

/* Reads a whole job object. have_items: whether the body has items (normally, the splitter finds this out). */
static bool read_job(struct jobspec *spec, const char *json, bool have_items, struct jobspec_error *err)
{
    jobspec_init(spec);
    return jobspec_read_options(spec, json, strlen(json), err) && jobspec_finish(spec, have_items, err);
}

static void expect_ok(struct jobspec *spec, const char *json, bool have_items)
{
    struct jobspec_error err = {0};
    cr_assert(read_job(spec, json, have_items, &err), "%s: %s %s", json, err.pointer, err.detail);
}

static void expect_fault(const char *json, bool have_items, int status, const char *pointer)
{
    struct jobspec spec;
    struct jobspec_error err = {0};
    cr_assert(!read_job(&spec, json, have_items, &err), "%s was accepted", json);
    cr_assert_eq(err.status, status, "%s: %d", json, err.status);
    cr_assert_str_eq(err.pointer, pointer, "%s: %s", json, err.pointer);
    cr_assert(strlen(err.detail) > 10 && err.detail[strlen(err.detail) - 1] != '.', "%s: %s", json, err.detail);
    jobspec_release(&spec);
}

static void expect_task_fault(const char *members, const char *pointer)
{
    char json[512];
    snprintf(json, sizeof(json), "{\"task\":\"t\",%s}", members);
    expect_fault(json, true, 400, pointer);
}

Test(jobspec, a_task_and_items_are_enough_and_the_rest_has_defaults)
{
    struct jobspec spec;
    expect_ok(&spec, "{\"task\":\"square\"}", true);
    cr_assert_eq(spec.task_count, 1);
    cr_assert_str_eq(spec.tasks[0], "square");
    cr_assert_eq(spec.source, SOURCE_ITEMS);
    cr_assert_eq(spec.order, ORDER_INPUT);
    cr_assert_eq(spec.max_chunk_bytes, DEFAULT_MAX_CHUNK_BYTES);
    cr_assert_eq(spec.retry.max_attempts, 3);
    cr_assert_eq(spec.retry.jitter, JITTER_FULL);
    cr_assert_eq(spec.retry.on, 1u << ITEM_CRASHED | 1u << ITEM_WORKER_LOST | 1u << ITEM_TIMED_OUT);
    cr_assert(spec.hedge_enabled && !spec.common);
    cr_assert_eq(spec.tolerated_failure_count, -1);
    cr_assert_eq(spec.reduce, REDUCE_NONE);
    jobspec_release(&spec);
    jobspec_release(&spec);
    assert_no_leak();
}

Test(jobspec, every_field_of_the_job_object_is_read)
{
    struct jobspec spec;
    expect_ok(&spec,
              "{\"task\":[\"fetch\",\"parse\"],\"range\":{\"start\":2,\"stop\":10,\"step\":3},"
              "\"common\":{\"id\":\n12345678901234567890},\"order\":\"completion\",\"chunk_size\":7,"
              "\"max_chunk_bytes\":4096,\"max_concurrency\":3,\"max_rate\":2.5,\"priority\":9,\"item_timeout_s\":1.5,"
              "\"deadline_s\":60,"
              "\"retry\":{\"max_attempts\":5,\"interval_s\":0.25,\"backoff_rate\":3,\"max_delay_s\":9,"
              "\"jitter\":\"none\",\"on\":[\"out_of_memory\",\"task_error\"]},"
              "\"hedge\":{\"enabled\":false,\"max_extra_percent\":1.5},"
              "\"tolerated_failure_count\":4,\"tolerated_failure_percentage\":12.5,"
              "\"reduce\":\"max\"}",
              false);
    cr_assert_eq(spec.task_count, 2);
    cr_assert_str_eq(spec.tasks[1], "parse");
    cr_assert_eq(spec.source, SOURCE_RANGE);
    cr_assert_eq(spec.generated_count, 3);
    cr_assert_str_eq(spec.common, "{\"id\":12345678901234567890}");
    cr_assert_eq(spec.common_len, strlen(spec.common));
    cr_assert_eq(spec.order, ORDER_COMPLETION);
    cr_assert(spec.chunk_size == 7 && spec.max_chunk_bytes == 4096 && spec.max_concurrency == 3 && spec.priority == 9);
    cr_assert_float_eq(spec.max_rate, 2.5, 1e-9);
    cr_assert_eq(jobspec_needs(&spec), 2, "an older version must not run the job without its rate");
    cr_assert(spec.item_timeout_s == 1.5 && spec.deadline_s == 60);
    cr_assert(spec.retry.max_attempts == 5 && spec.retry.interval_s == 0.25 && spec.retry.backoff_rate == 3);
    cr_assert(spec.retry.max_delay_s == 9 && spec.retry.jitter == JITTER_NONE);
    cr_assert_eq(spec.retry.on, 1u << ITEM_OUT_OF_MEMORY | 1u << ITEM_TASK_ERROR);
    cr_assert(!spec.hedge_enabled && spec.hedge_max_extra_percent == 1.5);
    cr_assert(spec.tolerated_failure_count == 4 && spec.tolerated_failure_percentage == 12.5);
    cr_assert(spec.reduce == REDUCE_MAX);
    jobspec_release(&spec);
    assert_no_leak();
}

Test(jobspec, built_in_reducers_go_by_their_names)
{
    for (int r = REDUCE_SUM; r <= REDUCE_CONCAT; r++) {
        struct jobspec spec;
        char json[64];
        snprintf(json, sizeof(json), "{\"task\":\"t\",\"reduce\":\"%s\"}", job_reduce_name((enum job_reduce)r));
        expect_ok(&spec, json, true);
        cr_assert_eq((int)spec.reduce, r);
        jobspec_release(&spec);
    }
    expect_task_fault("\"reduce\":\"product\"", "/reduce");
    expect_task_fault("\"reduce\":5", "/reduce");
    expect_task_fault("\"reduce\":{\"fan_in\":4}", "/reduce");
    expect_task_fault("\"reduce\":{\"task\":\"m\",\"fan_in\":4}", "/reduce");
    expect_task_fault("\"reduce\":{\"task\":\"m\",\"fan_in\":1}", "/reduce/fan_in");
    assert_no_leak();
}

Test(jobspec, whatever_is_not_a_field_is_pointed_at)
{
    expect_task_fault("\"colour\":1", "/colour");
    expect_task_fault("\"retry\":{\"max\":1}", "/retry/max");
    expect_task_fault("\"a/b~\":1", "/a~1b~0");
    expect_task_fault("\"\":1", "/");
    expect_task_fault("\"retry.max_attempts\":1", "/retry.max_attempts");
    expect_task_fault("\"order\\u0000\":\"input\"", "/order");
    expect_task_fault("\"input\":{\"url\":\"s3://a/b\"}", "/input");
    expect_task_fault("\"progress_s\":1", "/progress_s");
    assert_no_leak();
}

Test(jobspec, minus_zero_is_zero)
{
    struct jobspec spec;
    expect_ok(&spec, "{\"task\":\"t\",\"item_timeout_s\":-0,\"deadline_s\":-0.0}", true);
    cr_assert_not(signbit(spec.item_timeout_s));
    cr_assert_not(signbit(spec.deadline_s));
    jobspec_release(&spec);
}

Test(jobspec, values_of_a_wrong_type_or_size_are_pointed_at)
{
    expect_task_fault("\"chunk_size\":\"7\"", "/chunk_size");
    expect_task_fault("\"chunk_size\":-1", "/chunk_size");
    expect_task_fault("\"chunk_size\":1.5", "/chunk_size");
    expect_task_fault("\"chunk_size\":null", "/chunk_size");
    expect_task_fault("\"chunk_size\":1e999", "/chunk_size");
    expect_task_fault("\"max_chunk_bytes\":0", "/max_chunk_bytes");
    expect_task_fault("\"priority\":10", "/priority");
    expect_task_fault("\"item_timeout_s\":true", "/item_timeout_s");
    expect_task_fault("\"item_timeout_s\":-0.1", "/item_timeout_s");
    expect_task_fault("\"order\":\"random\"", "/order");
    expect_task_fault("\"order\":1", "/order");
    expect_task_fault("\"retry\":3", "/retry");
    expect_task_fault("\"retry\":{\"on\":\"crashed\"}", "/retry/on");
    expect_task_fault("\"retry\":{\"on\":[\"cancelled\"]}", "/retry/on");
    expect_task_fault("\"retry\":{\"jitter\":\"some\"}", "/retry/jitter");
    expect_task_fault("\"retry\":{\"max_attempts\":1,\"max_attempts\":1}", "/retry/max_attempts");
    expect_task_fault("\"hedge\":{\"enabled\":1}", "/hedge/enabled");
    expect_task_fault("\"tolerated_failure_percentage\":101", "/tolerated_failure_percentage");
    expect_task_fault("\"tolerated_failure_count\":9007199254740993", "/tolerated_failure_count");
    expect_fault("[1]", true, 400, "");
    struct jobspec spec;
    expect_ok(&spec, "{\"task\":\"t\",\"tolerated_failure_count\":null,\"chunk_size\":5.0,\"deadline_s\":0}", true);
    cr_assert_eq(spec.chunk_size, 5);
    cr_assert_eq(spec.tolerated_failure_count, -1);
    jobspec_release(&spec);
    assert_no_leak();
}

Test(jobspec, integers_beyond_2_to_the_53_are_refused_by_their_digits)
{
    struct jobspec spec;
    expect_ok(&spec, "{\"task\":\"t\",\"range\":{\"start\":9007199254740990,\"stop\":9007199254740991}}", false);
    cr_assert_eq(spec.stop, INT64_C(9007199254740991));
    jobspec_release(&spec);
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":9007199254740992}}", false, 400, "/range/stop");
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":9007199254740993}}", false, 400, "/range/stop");
    expect_fault("{\"task\":\"t\",\"range\":{\"start\":-9007199254740993,\"stop\":0}}", false, 400, "/range/start");
    assert_no_leak();
}

Test(jobspec, items_come_from_exactly_one_place)
{
    expect_fault("{\"task\":\"t\"}", false, 400, "");
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":3}}", true, 400, "/range");
    expect_fault("{\"task\":\"t\",\"spans\":{\"stop\":3,\"size\":1}}", true, 400, "/spans");
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":3},\"spans\":{\"stop\":3,\"size\":1}}", false, 400, "/spans");
    expect_fault("{\"task\":\"t\",\"range\":{}}", true, 400, "/range");
    expect_fault("{\"task\":\"t\",\"range\":{\"start\":1}}", false, 400, "/range");
    expect_fault("{\"task\":\"t\",\"spans\":{\"stop\":1}}", false, 400, "/spans");
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":3,\"step\":0}}", false, 400, "/range/step");
    expect_fault("{\"task\":\"t\",\"spans\":{\"stop\":3,\"size\":0}}", false, 400, "/spans/size");
    expect_fault("{\"task\":\"t\",\"spans\":{\"stop\":3,\"size\":-5}}", false, 400, "/spans/size");
    expect_fault("{\"task\":\"t\",\"range\":{\"stop\":1000000000001}}", false, 400, "/range");
    expect_fault("{\"task\":\"t\",\"range\":[0,1]}", false, 400, "/range");
    assert_no_leak();
}

Test(jobspec, task_names_that_no_task_can_have_are_not_found)
{
    expect_fault("{}", true, 400, "/task");
    expect_fault("{\"task\":\"\"}", true, 400, "/task");
    expect_fault("{\"task\":7}", true, 400, "/task");
    expect_fault("{\"task\":[]}", true, 400, "/task");
    expect_fault("{\"task\":\"../etc\"}", true, 404, "/task");
    expect_fault("{\"task\":\"sq\\u0000uare\"}", true, 404, "/task");
    expect_fault("{\"task\":[\"a\",\"b c\"]}", true, 404, "/task/1");
    expect_fault("{\"task\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
                 "\"a\",\"a\",\"a\"]}",
                 true, 400, "/task");
    assert_no_leak();
}

static bool read_query(struct jobspec *spec, const char *name, const char *value, struct jobspec_error *err)
{
    return jobspec_read_query(spec, name, value, err);
}

Test(jobspec, the_query_takes_the_same_names)
{
    struct jobspec spec;
    struct jobspec_error err;
    jobspec_init(&spec);
    cr_assert(read_query(&spec, "task", "fetch,parse", &err));
    cr_assert(read_query(&spec, "order", "completion", &err));
    cr_assert(read_query(&spec, "item_timeout_s", "2.5", &err));
    cr_assert(read_query(&spec, "retry.max_attempts", " 4 ", &err));
    cr_assert(read_query(&spec, "retry.on", "crashed,timed_out", &err));
    cr_assert(read_query(&spec, "hedge.enabled", "false", &err));
    cr_assert(read_query(&spec, "common", "{\"model\":\"v3\"}", &err));
    cr_assert(read_query(&spec, "tolerated_failure_count", "null", &err));
    cr_assert(read_query(&spec, "reduce", "concat", &err));
    cr_assert(read_query(&spec, "progress_s", "1", &err));
    cr_assert(jobspec_finish(&spec, true, &err));
    cr_assert_eq(spec.task_count, 2);
    cr_assert_str_eq(spec.tasks[1], "parse");
    cr_assert(spec.order == ORDER_COMPLETION && spec.item_timeout_s == 2.5 && spec.retry.max_attempts == 4);
    cr_assert_eq(spec.retry.on, 1u << ITEM_CRASHED | 1u << ITEM_TIMED_OUT);
    cr_assert(!spec.hedge_enabled && spec.progress_s == 1 && spec.reduce == REDUCE_CONCAT);
    cr_assert_str_eq(spec.common, "{\"model\":\"v3\"}");
    jobspec_release(&spec);
    assert_no_leak();
}

Test(jobspec, the_query_is_held_to_the_same_rules)
{
    static const char *const bad[][3] = {
        {"chunk_size", "many", "/chunk_size"},
        {"chunk_size", "", "/chunk_size"},
        {"chunk_size", "NaN", "/chunk_size"},
        {"chunk_size", "1 2", "/chunk_size"},
        {"chunk_size", "-1", "/chunk_size"},
        {"colour", "red", "/colour"},
        {"retry", "{}", "/retry"},
        {"range.stop", "9007199254740993", "/range/stop"},
        {"range.step", "0", "/range/step"},
        {"reduce", "product", "/reduce"},
        {"retry.on", "crashed,bored", "/retry/on"},
        {"common", "{", "/common"},
        {"task", "", "/task"},
        {"task", "a,", "/task/1"},
        {"items", "[1]", "/items"},
        {"input.url", "s3://x/y", "/input"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct jobspec spec;
        struct jobspec_error err;
        jobspec_init(&spec);
        cr_assert(!read_query(&spec, bad[i][0], bad[i][1], &err), "%s=%s", bad[i][0], bad[i][1]);
        cr_assert_eq(err.status, 400);
        cr_assert_str_eq(err.pointer, bad[i][2]);
        jobspec_release(&spec);
    }
    assert_no_leak();
}

Test(jobspec, a_field_in_query_and_body_is_an_error)
{
    struct jobspec spec;
    struct jobspec_error err;
    jobspec_init(&spec);
    cr_assert(read_query(&spec, "task", "t", &err));
    cr_assert(!jobspec_read_options(&spec, "{\"task\":\"t\"}", 12, &err));
    cr_assert_str_eq(err.pointer, "/task");
    jobspec_release(&spec);
    assert_no_leak();
}

static void expect_generated(const char *source, uint64_t count, const char *items)
{
    struct jobspec spec;
    struct buf out = {0};
    char json[256];
    snprintf(json, sizeof(json), "{\"task\":\"t\",%s}", source);
    expect_ok(&spec, json, false);
    cr_assert_eq(spec.generated_count, count, "%s: %llu", source, (unsigned long long)spec.generated_count);
    cr_assert(jobspec_write_items(&spec, 0, count, &out));
    cr_assert_str_eq(buf_cstr(&out), items);
    buf_release(&out);
    jobspec_release(&spec);
}

Test(jobspec, ranges_and_spans_make_their_items)
{
    expect_generated("\"range\":{\"stop\":3}", 3, "0\n1\n2\n");
    expect_generated("\"range\":{\"start\":-2,\"stop\":5,\"step\":3}", 3, "-2\n1\n4\n");
    expect_generated("\"range\":{\"start\":5,\"stop\":-2,\"step\":-3}", 3, "5\n2\n-1\n");
    expect_generated("\"range\":{\"start\":5,\"stop\":5}", 0, "");
    expect_generated("\"range\":{\"start\":5,\"stop\":4}", 0, "");
    expect_generated("\"range\":{\"start\":9007199254740990,\"stop\":9007199254740991,\"step\":9007199254740991}", 1,
                     "9007199254740990\n");
    expect_generated("\"spans\":{\"start\":0,\"stop\":5,\"size\":2}", 3,
                     "{\"start\":0,\"stop\":2}\n{\"start\":2,\"stop\":4}\n{\"start\":4,\"stop\":5}\n");
    expect_generated("\"spans\":{\"stop\":2,\"size\":9007199254740991}", 1, "{\"start\":0,\"stop\":2}\n");
    assert_no_leak();
}

Test(jobspec, any_part_of_a_range_can_be_written_by_itself)
{
    struct jobspec spec;
    struct buf all = {0}, part = {0};
    expect_ok(&spec, "{\"task\":\"t\",\"range\":{\"start\":-5000,\"stop\":5000}}", false);
    cr_assert(jobspec_write_items(&spec, 0, 10000, &all));
    for (uint64_t at = 0; at < 10000; at += 2500) cr_assert(jobspec_write_items(&spec, at, 2500, &part));
    cr_assert(all.len == part.len && memcmp(all.data, part.data, all.len) == 0);
    struct buf capped;
    buf_init(&capped, 100);
    cr_assert(!jobspec_write_items(&spec, 0, 10000, &capped));
    cr_assert_eq(capped.len, 0);
    buf_release(&capped);
    buf_release(&all);
    buf_release(&part);
    jobspec_release(&spec);
    assert_no_leak();
}

/* Reads options as the splitter passes them on: only valid JSON. */
static bool read_options(struct jobspec *spec, const char *json, size_t len, struct jobspec_error *err)
{
    size_t offset;
    const char *why;
    if (json_valid(json, len, &offset, &why)) return jobspec_read_options(spec, json, len, err);
    snprintf(err->detail, sizeof err->detail, "%s", why);
    return false;
}

static void check_case(const char *name, char verdict, const char *data, size_t len)
{
    struct jobspec spec;
    struct jobspec_error err;
    jobspec_init(&spec);
    cr_assert(!read_options(&spec, data, len, &err) || verdict != 'n', "%s", name);
    jobspec_release(&spec);

    struct buf json = {0};
    buf_add_str(&json, "{\"task\":\"t\",\"common\":");
    buf_add(&json, data, len);
    buf_add_char(&json, '}');
    jobspec_init(&spec);
    bool ok = read_options(&spec, json.data, json.len, &err);
    if (verdict == 'y') cr_assert(ok, "%s: %s", name, err.detail);
    if (verdict == 'n') cr_assert(!ok, "%s", name);
    jobspec_release(&spec);
    buf_release(&json);
}

Test(jobspec, common_and_whole_jobs_are_held_to_the_json_test_suite)
{
    cr_assert_eq(json_suite_each(check_case), 318);
    assert_no_leak();
}
