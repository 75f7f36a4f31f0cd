#include "common/observe/metrics.h"

#include "unit/leaks.h"

static struct buf out;

static const char *render(void)
{
    buf_clear(&out);
    cr_assert(metrics_render(&out));
    return buf_cstr(&out);
}

static void finish(void)
{
    metrics_release();
    buf_release(&out);
    assert_no_leaks();
}

static double seven_and_a_half(void *data)
{
    return *(const double *)data;
}

TestSuite(metrics, .timeout = 30);

Test(metrics, series_exist_at_zero_and_count_by_a_plain_add)
{
    static const char *const values[] = {"succeeded", "failed"};
    uint64_t *jobs[2];
    metric_counters("fantail_jobs_total", "Jobs that ended.", "status", values, 2, jobs);
    cr_assert(strstr(render(), "# HELP fantail_jobs_total Jobs that ended.\n"
                               "# TYPE fantail_jobs_total counter\n"
                               "fantail_jobs_total{status=\"succeeded\"} 0\n"
                               "fantail_jobs_total{status=\"failed\"} 0\n"));
    *jobs[1] += 3;
    cr_assert(strstr(render(), "fantail_jobs_total{status=\"failed\"} 3\n"));
    finish();
}

Test(metrics, registering_again_gives_the_same_pointer_and_one_family)
{
    uint64_t *a = metric_counter("x_total", "X.", "k=\"1\"");
    int64_t *gauge = metric_gauge("g", "G.", NULL);
    uint64_t *b = metric_counter("x_total", "X.", "k=\"2\"");
    cr_assert(a == metric_counter("x_total", "X.", "k=\"1\"") && a != b);
    *gauge = -5;
    const char *text = render();
    cr_assert(strstr(text, "x_total{k=\"1\"} 0\nx_total{k=\"2\"} 0\n"), "%s", text);
    cr_assert(strstr(text, "\ng -5\n"));
    cr_assert_null(strstr(strstr(text, "# TYPE x_total") + 1, "# TYPE x_total"));
    finish();
}

Test(metrics, a_histogram_is_cumulated_in_seconds)
{
    struct metric_histogram *h = metric_histogram("d_seconds", "D.", "route=\"/\"");
    metric_observe_ns(h, 50 * NS_PER_US);
    metric_observe_ns(h, NS_PER_S);
    metric_observe_ns(h, 3600 * NS_PER_S);
    const char *text = render();
    cr_assert(strstr(text, "d_seconds_bucket{route=\"/\",le=\"0.0001\"} 1\n"), "%s", text);
    cr_assert(strstr(text, "d_seconds_bucket{route=\"/\",le=\"0.5\"} 1\n"));
    cr_assert(strstr(text, "d_seconds_bucket{route=\"/\",le=\"1\"} 2\n"));
    cr_assert(strstr(text, "d_seconds_bucket{route=\"/\",le=\"+Inf\"} 3\n"));
    cr_assert(strstr(text, "d_seconds_sum{route=\"/\"} 3601.000050000\n"));
    cr_assert(strstr(text, "d_seconds_count{route=\"/\"} 3\n"));
    finish();
}

Test(metrics, gauges_are_asked_when_they_are_shown)
{
    double value = 7.5;
    metric_gauge_fn("asked", "A.", NULL, seven_and_a_half, &value);
    const char *text = render();
    cr_assert(strstr(text, "\nasked 7.5\n"));
    finish();
}

static void emit_two(void *data, struct metric_emitter *to)
{
    metric_emit(to, "a\"b", 1);
    if (*(const bool *)data) metric_emit(to, "c", 2.5);
}

Test(metrics, a_gauge_may_have_other_series_each_time_it_is_shown)
{
    bool both = true;
    metric_gauge_each("fantail_things", "Things.", "thing", emit_two, &both);
    cr_assert(strstr(render(), "# TYPE fantail_things gauge\nfantail_things{thing=\"a\\\"b\"} 1\n"
                               "fantail_things{thing=\"c\"} 2.5\n"));
    both = false;
    cr_assert_not(strstr(render(), "thing=\"c\""));
    finish();
}

Test(metrics, label_values_are_escaped)
{
    struct buf labels = {0};
    metric_add_label(&labels, "a", "x\"y\\z\n");
    metric_add_label(&labels, "b", "");
    cr_assert_str_eq(buf_cstr(&labels), "a=\"x\\\"y\\\\z\\n\",b=\"\"");
    buf_release(&labels);
    finish();
}

Test(metrics, the_process_is_described)
{
    metrics_register_process("worker");
    const char *text = render();
    cr_assert(strstr(text, "fantail_build_info{version=\"" FANTAIL_VERSION "\",service=\"worker\"} 1\n"));
    static const char *const names[] = {"process_cpu_seconds_total", "process_resident_memory_bytes",
                                        "process_open_fds", "process_start_time_seconds"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char want[64];
        snprintf(want, sizeof want, "\n%s ", names[i]);
        const char *at = strstr(text, want);
        cr_assert(at && strtod(at + strlen(want), NULL) > 0, "%s", names[i]);
    }
    finish();
}

Test(metrics, a_text_that_does_not_fit_is_told)
{
    metric_counter("x_total", "X.", NULL);
    buf_init(&out, 10);
    cr_assert(!metrics_render(&out));
    finish();
}
