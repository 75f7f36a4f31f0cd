#include "coordinator/durable/stored_options.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

struct arg {
    const char *name, *value;
};

/* Writes the options as text, and reads the text again into `spec`. */
static void round_trip(const struct arg *args, size_t n, const char *options, bool have_items, enum idempotency wanted,
                       struct jobspec *spec)
{
    struct buf text = {0}, object = {0};
    enum idempotency got;
    char err[200];
    buf_add_str(&object, options);
    stored_options_begin(&text);
    for (size_t i = 0; i < n; i++) stored_options_add_query(&text, args[i].name, args[i].value);
    stored_options_add_object(&text, &object, have_items, wanted);
    stored_options_end(&text, 0, 0);
    cr_assert(stored_options_read(buf_cstr(&text), spec, &got, err, sizeof err), "%s: %s", text.data, err);
    cr_assert_eq(got, wanted);
    buf_release(&text);
    buf_release(&object);
}

Test(stored_options, a_job_object_is_read_as_it_was_written)
{
    struct jobspec spec = {0};
    round_trip(NULL, 0, "{\"task\":[\"a\",\"b\"],\"priority\":7,\"common\":{\"k\":[1]},\"labels\":[\"x\"]}", true,
               IDEMPOTENCY_NO, &spec);
    cr_assert_eq(spec.task_count, 2);
    cr_assert_str_eq(spec.tasks[1], "b");
    cr_assert_eq(spec.priority, 7);
    cr_assert_str_eq(spec.common, "{\"k\":[1]}");
    cr_assert_str_eq(spec.labels, "[\"x\"]");
    cr_assert_eq(spec.source, SOURCE_ITEMS);
    jobspec_release(&spec);
    assert_no_leaks();
}

Test(stored_options, the_arguments_of_a_query_are_read_by_the_rules_of_a_query)
{
    static const struct arg args[] = {{"task", "square"}, {"retry.max_attempts", "2"}, {"labels", "a b,\"c\\"}};
    struct jobspec spec = {0};
    round_trip(args, ARRAY_SIZE(args), "", true, IDEMPOTENCY_YES, &spec);
    cr_assert_str_eq(spec.tasks[0], "square");
    cr_assert_eq(spec.retry.max_attempts, 2);
    cr_assert_str_eq(spec.labels, "[\"a b\",\"\\\"c\\\\\"]");
    jobspec_release(&spec);
    assert_no_leaks();
}

Test(stored_options, query_and_object_may_both_have_options)
{
    static const struct arg args[] = {{"task", "square"}};
    struct jobspec spec = {0};
    round_trip(args, 1, "{\"range\":{\"start\":0,\"stop\":10}}", false, IDEMPOTENCY_UNSAID, &spec);
    cr_assert_eq(spec.source, SOURCE_RANGE);
    cr_assert_eq(spec.generated_count, 10);
    jobspec_release(&spec);
    assert_no_leaks();
}

Test(stored_options, what_cannot_be_read_is_explained)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {NULL, "they are not an object"},
        {"", "the stored options cannot be read"},
        {"[]", "task"},
        {"7", "they are not an object"},
        {"{\"query\":{\"task\":\"a\"", "the stored options cannot be read"},
        {"{\"query\":{},\"options\":null,\"have_items\":true}", "task"},
        {"{\"query\":{\"task\":\"a\",\"unheard_of\":\"1\"},\"options\":null,\"have_items\":true}", "unheard_of"},
        {"{\"query\":{\"task\":7},\"options\":null,\"have_items\":true}", "the stored options cannot be read"},
        {"{\"query\":7,\"options\":null,\"have_items\":true}", "the stored options cannot be read"},
        {"{\"query\":{\"task\":\"a\"},\"options\":7,\"have_items\":true}", "object"},
        {"{\"query\":{\"task\":\"a\"},\"options\":null,\"have_items\":false}", "items"},
        {"{\"query\":{\"task\":\"a\"},\"options\":{\"priority\":\"x\"},\"have_items\":true}", "priority"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct jobspec spec = {0};
        enum idempotency idempotent;
        char err[300] = "";
        cr_assert(!stored_options_read(wrong[i].text, &spec, &idempotent, err, sizeof err), "%s", wrong[i].text);
        cr_assert_not_null(strstr(err, wrong[i].why), "%s: %s", wrong[i].text, err);
        jobspec_release(&spec);
    }
    assert_no_leaks();
}

Test(stored_options, a_member_is_left_out)
{
    static const char *const cases[][2] = {
        {"{\"notify\":{\"url\":\"x\"},\"task\":\"a\"}", "{\"task\":\"a\"}"},
        {"{ \"task\" : \"a\", \"n\\u006ftify\" : {} , \"common\":{\"notify\":1}}",
         "{\"task\":\"a\",\"common\":{\"notify\":1}}"},
        {"{\"notify\":1}", "{}"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf options = {0}, out = {0};
        buf_add_str(&options, cases[i][0]);
        stored_options_without(&options, "notify", NULL, &out);
        cr_assert_str_eq(buf_cstr(&out), cases[i][1]);
        buf_release(&options);
        buf_release(&out);
    }
    assert_no_leaks();
}

Test(stored_options, the_place_of_a_value_is_known_after_a_member_was_left_out)
{
    struct buf options = {0}, out = {0};
    buf_add_str(&options, "{ \"notify\": 1, \"task\": \"a\", \"common\": [7] }");
    size_t at = stored_options_without(&options, "notify", strchr(options.data, '['), &out);
    cr_assert_eq(strncmp(buf_cstr(&out) + at, "[7]", 3), 0, "%zu in %s", at, out.data);
    buf_release(&options);
    buf_release(&out);
    assert_no_leaks();
}

enum { LONG_BYTES = 200000 };

/* Writes the text of a job with a long `common`, an array of ones. The text says where the array is. */
static void write_long(struct buf *text)
{
    struct buf object = {0};
    buf_add_str(&object, "{\"task\":\"a\",\"common\":[1");
    size_t value_at = object.len - 2;
    while (object.len < LONG_BYTES) buf_add_str(&object, ",1");
    buf_add_char(&object, ']');
    size_t value_len = object.len - value_at;
    buf_add_str(&object, ",\"priority\":7}");
    stored_options_begin(text);
    size_t at = stored_options_add_object(text, &object, true, IDEMPOTENCY_YES);
    stored_options_add_trace(text, "00-1-1-01", NULL);
    stored_options_end(text, at + value_at, value_len);
    buf_release(&object);
}

static bool read(struct buf *text, bool facts, struct jobspec *spec, char *err, size_t err_size)
{
    enum idempotency idempotent;
    return (facts ? stored_options_read_facts : stored_options_read)(buf_cstr(text), spec, &idempotent, err, err_size);
}

Test(stored_options, a_long_common_is_not_looked_at_unless_it_is_wanted)
{
    struct buf text = {0}, parent = {0}, state = {0};
    struct jobspec spec = {0};
    char err[300];
    write_long(&text);
    cr_assert(read(&text, false, &spec, err, sizeof err), "%s", err);
    cr_assert(spec.common_len > LONG_BYTES - 100 && strncmp(spec.common, "[1,1,", 5) == 0);
    cr_assert_str_eq(spec.common + spec.common_len - 3, ",1]");
    cr_assert_eq(spec.priority, 7);
    jobspec_release(&spec);
    text.data[text.len / 2] = 'x'; /* the value of `common` is damaged */
    cr_assert(read(&text, true, &spec, err, sizeof err), "%s", err);
    cr_assert(spec.priority == 7 && spec.source == SOURCE_ITEMS);
    jobspec_release(&spec);
    cr_assert(!read(&text, false, &spec, err, sizeof err));
    cr_assert_not_null(strstr(err, "the stored options cannot be read"), "%s", err);
    jobspec_release(&spec);
    stored_options_read_trace(buf_cstr(&text), &parent, &state);
    cr_assert_str_eq(buf_cstr(&parent), "00-1-1-01");
    buf_release(&text);
    buf_release(&parent);
    buf_release(&state);
    assert_no_leaks();
}

Test(stored_options, only_the_last_member_of_the_text_says_where_common_is)
{
    static const char *const texts[] = {
        "{\"query\":{},\"options\":{\"task\":\"a\",\"common\":{\"x\":1,\"common_span\":[0,5]}},\"have_items\":true}",
        "{\"query\":{\"task\":\"a\"},\"options\":null,\"have_items\":true,\"common_span\":[9,99]}",
        "{\"query\":{\"task\":\"a\"},\"options\":null,\"have_items\":true,\"common_span\":[99999999999999999999,1]}",
        "{\"query\":{\"task\":\"a\"},\"options\":null,\"have_items\":true,\"common_span\":[-1,1]}",
        "{\"query\":{\"task\":\"a\"},\"options\":null,\"have_items\":true,\"common_span\":[1]}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct buf text = {0};
        struct jobspec spec = {0};
        char err[300];
        buf_add_str(&text, texts[i]);
        cr_assert(read(&text, false, &spec, err, sizeof err), "%s: %s", texts[i], err);
        cr_assert_str_eq(spec.tasks[0], "a");
        jobspec_release(&spec);
        buf_release(&text);
    }
    assert_no_leaks();
}

static void expect_trace(const char *wanted_parent, const char *wanted_state)
{
    struct buf text = {0}, object = {0}, parent = {0}, state = {0};
    struct jobspec spec = {0};
    enum idempotency idempotent;
    char err[200];
    buf_add_str(&object, "{\"task\":\"square\",\"range\":{\"stop\":1}}");
    stored_options_begin(&text);
    stored_options_add_object(&text, &object, false, IDEMPOTENCY_UNSAID);
    if (wanted_parent) stored_options_add_trace(&text, wanted_parent, wanted_state);
    stored_options_end(&text, 0, 0);
    cr_assert(stored_options_read(buf_cstr(&text), &spec, &idempotent, err, sizeof err), "%s: %s", text.data, err);
    stored_options_read_trace(buf_cstr(&text), &parent, &state);
    cr_assert_str_eq(buf_cstr(&parent), wanted_parent ? wanted_parent : "");
    cr_assert_str_eq(buf_cstr(&state), wanted_state ? wanted_state : "");
    jobspec_release(&spec);
    buf_release(&text);
    buf_release(&object);
    buf_release(&parent);
    buf_release(&state);
}

Test(stored_options, the_trace_of_a_job_is_kept)
{
    static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct buf none = {0};
    expect_trace(NULL, NULL);
    expect_trace(parent, NULL);
    expect_trace(parent, "a=1,b=\"2\\");
    stored_options_read_trace(NULL, &none, &none);
    cr_assert_eq(none.len, 0);
    assert_no_leaks();
}
