/* The line of the embedded metric format, read by a JSON parser. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include "coordinator/status/emf_line.h"
#include "unit/leaks.h"

static const struct emf_demand demand = {
    .queued_items = 1,
    .in_flight_items = 2,
    .demand_items = 3,
    .demand_slots = 4,
    .unserved_slots = 5,
    .slots = 6,
    .jobs_running = UINT64_MAX,
};

static cJSON *line_of(const char *cluster, const char *service, size_t *len)
{
    struct buf out = {0};
    emf_write_line(&out, cluster, service, 1700000000000, &demand);
    cr_assert_eq(out.data[out.len - 1], '\n');
    cr_assert_eq(memchr(out.data, '\n', out.len - 1), NULL, "one line");
    cJSON *root = cJSON_ParseWithLength(out.data, out.len - 1);
    cr_assert(cJSON_IsObject(root));
    if (len) *len = out.len;
    buf_release(&out);
    return root;
}

Test(emf_line, every_metric_of_the_directive_is_a_number_at_the_root)
{
    static const char *const names[] = {"queued_items",   "in_flight_items", "demand_items", "demand_slots",
                                        "unserved_slots", "slots",           "jobs_running"};
    cJSON *root = line_of("c", "s", NULL);
    const cJSON *aws = cJSON_GetObjectItemCaseSensitive(root, "_aws");
    cr_assert_eq(cJSON_GetObjectItemCaseSensitive(aws, "Timestamp")->valuedouble, 1700000000000.0);
    const cJSON *directives = cJSON_GetObjectItemCaseSensitive(aws, "CloudWatchMetrics");
    cr_assert_eq(cJSON_GetArraySize(directives), 1);
    const cJSON *directive = cJSON_GetArrayItem(directives, 0);
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(directive, "Namespace")->valuestring, "fantail");
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(directive, "Metrics");
    cr_assert_eq(cJSON_GetArraySize(metrics), (int)ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const cJSON *metric = cJSON_GetArrayItem(metrics, (int)i);
        cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(metric, "Name")->valuestring, names[i]);
        cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(metric, "Unit")->valuestring, "Count");
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, names[i]);
        cr_assert(cJSON_IsNumber(value), "%s", names[i]);
        if (i < 6) cr_assert_eq(value->valuedouble, (double)i + 1, "%s", names[i]);
    }
    cJSON_Delete(root);
    assert_no_leaks();
}

Test(emf_line, the_dimensions_are_strings_at_the_root_whatever_they_say)
{
    cJSON *root = line_of("a \"quoted\\ name", "s", NULL);
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(root, "cluster")->valuestring, "a \"quoted\\ name");
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(root, "service")->valuestring, "s");
    cJSON_Delete(root);
    assert_no_leaks();
}

Test(emf_line, the_longest_line_fits_a_pipe)
{
    char longest[EMF_DIMENSION_BYTES + 1];
    memset(longest, '"', EMF_DIMENSION_BYTES);
    longest[EMF_DIMENSION_BYTES] = '\0';
    cr_assert(emf_dimension_ok(longest));
    size_t len;
    cJSON_Delete(line_of(longest, longest, &len));
    cr_assert_leq(len, EMF_LINE_BYTES);
    assert_no_leaks();
}

Test(emf_line, dimensions_that_cloudwatch_refuses_are_refused)
{
    char longer[EMF_DIMENSION_BYTES + 2];
    memset(longer, 'x', EMF_DIMENSION_BYTES + 1);
    longer[EMF_DIMENSION_BYTES + 1] = '\0';
    const char *const bad[] = {"", " ", "   ", ":a", "a\tb", "a\nb", "\xc3\xbc", longer};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(emf_dimension_ok(bad[i]), "%zu", i);
    const char *const good[] = {"a", "a:b", "my cluster", "fantail-1"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) cr_assert(emf_dimension_ok(good[i]), "%s", good[i]);
}

Test(emf_line, ticks_are_the_multiples_of_the_period)
{
    cr_assert_eq(emf_tick(1700000009999, 10000), 1700000000000);
    cr_assert_eq(emf_tick(1700000010000, 10000), 1700000010000);
    cr_assert_eq(emf_tick(1700000010001, 10000), 1700000010000);
}
