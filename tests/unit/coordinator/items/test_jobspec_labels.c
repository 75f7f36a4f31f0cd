/* The labels of a job, in the job object and in the query. */
#include <criterion/criterion.h>

#include "coordinator/items/jobspec.h"
#include "unit/leaks.h"

static bool read_object(const char *labels, struct jobspec *spec, struct jobspec_error *err)
{
    struct buf json = {0};
    jobspec_init(spec);
    buf_addf(&json, "{\"task\":\"t\",\"labels\":%s}", labels);
    bool ok = jobspec_read_options(spec, json.data, json.len, err) && jobspec_finish(spec, true, err);
    buf_release(&json);
    return ok;
}

static bool read_query(const char *labels, struct jobspec *spec, struct jobspec_error *err)
{
    jobspec_init(spec);
    return jobspec_read_query(spec, "task", "t", err) && jobspec_read_query(spec, "labels", labels, err) &&
           jobspec_finish(spec, true, err);
}

static void expect(bool ok, struct jobspec *spec, const struct jobspec_error *err, const char *labels)
{
    cr_assert(ok, "%s: %s", err->pointer, err->detail);
    if (labels)
        cr_assert_str_eq(spec->labels, labels);
    else
        cr_assert_null(spec->labels);
    jobspec_release(spec);
    assert_no_leaks();
}

static void expect_fault(bool ok, struct jobspec *spec, const struct jobspec_error *err)
{
    cr_assert(!ok);
    cr_assert_eq(err->status, 400);
    cr_assert_not_null(strstr(err->pointer, "labels"), "%s", err->pointer);
    cr_assert_not_null(strstr(err->detail, "16 strings"), "%s", err->detail);
    jobspec_release(spec);
    assert_no_leaks();
}

#define EXPECT_OBJECT(labels, wanted)                                                                                  \
    do {                                                                                                               \
        struct jobspec spec;                                                                                           \
        struct jobspec_error err = {0};                                                                                \
        expect(read_object(labels, &spec, &err), &spec, &err, wanted);                                                 \
    } while (0)
#define EXPECT_QUERY(labels, wanted)                                                                                   \
    do {                                                                                                               \
        struct jobspec spec;                                                                                           \
        struct jobspec_error err = {0};                                                                                \
        expect(read_query(labels, &spec, &err), &spec, &err, wanted);                                                  \
    } while (0)

static void expect_object_fault(const char *labels)
{
    struct jobspec spec;
    struct jobspec_error err = {0};
    expect_fault(read_object(labels, &spec, &err), &spec, &err);
}

Test(jobspec_labels, a_job_object_has_an_array)
{
    EXPECT_OBJECT("[]", NULL);
    EXPECT_OBJECT("[\"a\"]", "[\"a\"]");
    EXPECT_OBJECT("[\"\\u00a0\"]", "[\"\u00a0\"]");
    EXPECT_OBJECT(" [ \"night run\" , \"\\u00e9t\\u00e9\", \"q\\\"\" ] ",
                  "[\"night run\",\"\u00e9t\u00e9\",\"q\\\"\"]");
}

Test(jobspec_labels, a_query_has_them_joined_with_commas)
{
    EXPECT_QUERY("", NULL);
    EXPECT_QUERY("a", "[\"a\"]");
    EXPECT_QUERY("a,b c,[d]", "[\"a\",\"b c\",\"[d]\"]");
}

Test(jobspec_labels, wrong_labels_are_refused)
{
    static const char *const wrong[] = {"\"a\"",         "7",           "{}",
                                        "null",          "[7]",         "[\"\"]",
                                        "[\"a,b\"]",     "[\"a\\nb\"]", "[\"\\u007f\"]",
                                        "[\"a\",null]",  "[[\"a\"]]",   "[\"\\u0080\"]",
                                        "[\"a\\u009f\"]"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) expect_object_fault(wrong[i]);
}

Test(jobspec_labels, a_label_has_64_bytes_and_a_job_16_labels)
{
    struct buf text = {0};
    buf_add_str(&text, "[\"");
    for (int i = 0; i < JOB_LABEL_BYTES; i++) buf_add_char(&text, 'x');
    buf_add_str(&text, "\"]");
    EXPECT_OBJECT(buf_cstr(&text), text.data);
    text.len -= 2;
    buf_add_str(&text, "x\"]");
    expect_object_fault(buf_cstr(&text));
    buf_clear(&text);
    for (int i = 0; i < JOB_LABELS_MAX; i++) buf_addf(&text, "%c\"%d\"", i ? ',' : '[', i);
    buf_add_str(&text, "]");
    EXPECT_OBJECT(buf_cstr(&text), text.data);
    text.len--;
    buf_add_str(&text, ",\"one more\"]");
    expect_object_fault(buf_cstr(&text));
    buf_release(&text);
    assert_no_leaks();
}

Test(jobspec_labels, given_twice_they_are_refused)
{
    struct jobspec spec;
    struct jobspec_error err = {0};
    jobspec_init(&spec);
    cr_assert(jobspec_read_query(&spec, "labels", "a", &err));
    cr_assert(!jobspec_read_options(&spec, "{\"labels\":[\"b\"]}", 16, &err));
    cr_assert_eq(err.status, 400);
    jobspec_release(&spec);
    assert_no_leaks();
}
