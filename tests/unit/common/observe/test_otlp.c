#include <criterion/criterion.h>

#include "common/observe/otlp.h"
#include "common/observe/trace_config.h"
#include "unit/leaks.h"

static struct trace_context context_of(const char *header)
{
    struct trace_context t;
    cr_assert(trace_context_parse(&t, header));
    return t;
}

Test(otlp, a_request_is_what_the_json_mapping_says)
{
    struct buf out = {0}, resource = {0};
    struct trace_context root = context_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    struct trace_context child = context_of("00-4bf92f3577b34da6a3ce929d0e0e4736-1112131415161718-01");
    otlp_add_resource(&resource, "service.name", "a \"service\"");
    otlp_add_resource(&resource, "host.name", "h");
    otlp_begin(&out, resource.data, resource.len);
    otlp_add_span(&out,
                  &(struct span){.context = root, .kind = SPAN_SERVER, .name = "first", .start_ns = 1, .end_ns = 2},
                  1700000000000000000);
    buf_add_char(&out, ',');
    otlp_add_span(&out,
                  &(struct span){
                      .context = child,
                      .parent_id = root.span_id,
                      .parent_is_remote = true,
                      .state = "a=1",
                      .kind = SPAN_CLIENT,
                      .name = "second\n",
                      .start_ns = 5,
                      .end_ns = 9,
                      .attributes = (struct span_attribute[]){SPAN_STR("left.out", NULL), SPAN_INT("big", INT64_MAX),
                                                              SPAN_INT("less", -1), SPAN_STR("text", "\"\xff\""),
                                                              SPAN_BOOL("yes", true), SPAN_BOOL("no", false), SPAN_END},
                      .failed = true,
                      .failure = "lost",
                  },
                  0);
    otlp_end(&out);
    cr_assert_str_eq(
        buf_cstr(&out),
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":["
        "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"a \\\"service\\\"\"}},"
        "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}}]},"
        "\"scopeSpans\":[{\"scope\":{\"name\":\"fantail\",\"version\":\"" FANTAIL_VERSION "\"},\"spans\":["
        "{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\",\"flags\":257,"
        "\"name\":\"first\",\"kind\":2,\"startTimeUnixNano\":\"1700000000000000001\","
        "\"endTimeUnixNano\":\"1700000000000000002\"},"
        "{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"1112131415161718\","
        "\"parentSpanId\":\"00f067aa0ba902b7\",\"traceState\":\"a=1\",\"flags\":769,\"name\":\"second\\n\",\"kind\":3,"
        "\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"9\",\"attributes\":["
        "{\"key\":\"big\",\"value\":{\"intValue\":\"9223372036854775807\"}},"
        "{\"key\":\"less\",\"value\":{\"intValue\":\"-1\"}},"
        "{\"key\":\"text\",\"value\":{\"stringValue\":\"\\\"\xef\xbf\xbd\\\"\"}},"
        "{\"key\":\"yes\",\"value\":{\"boolValue\":true}},{\"key\":\"no\",\"value\":{\"boolValue\":false}}],"
        "\"status\":{\"code\":2,\"message\":\"lost\"}}"
        "]}]}]}");
    buf_release(&out);
    buf_release(&resource);
    assert_no_leaks();
}

Test(otlp, rejected_spans_are_counted_whatever_the_collector_answers)
{
    static const struct {
        const char *answer;
        uint64_t rejected;
    } cases[] = {
        {"", 0},
        {"{}", 0},
        {"no json", 0},
        {"[1]", 0},
        {"{\"partialSuccess\":null}", 0},
        {"{\"partialSuccess\":{}}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"12\",\"errorMessage\":\"x\"}}", 12},
        {"{\"partialSuccess\":{\"rejectedSpans\":3}}", 3},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"-3\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"1e99\"}}", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(otlp_rejected(cases[i].answer, strlen(cases[i].answer)), cases[i].rejected, "%s", cases[i].answer);
    assert_no_leaks();
}

/* ---- trace_config.h ---- */

static const char *(*variables)[2];

static const char *get(const char *name)
{
    for (size_t i = 0; variables[i][0]; i++)
        if (strcmp(variables[i][0], name) == 0) return variables[i][1];
    return NULL;
}

static char fault[200];

/* Reads the config from these environment variables; {NULL} ends them. */
static bool read_config(struct trace_config *c, const char *pairs[][2])
{
    variables = pairs;
    return trace_config_read(c, get, fault, sizeof fault);
}

#define ENDPOINT "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"

Test(trace_config, it_is_off_without_an_endpoint_or_when_it_is_switched_off)
{
    const char *off[][3][2] = {
        {{NULL}},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT", ""}, {NULL}},
        {{ENDPOINT}, {"OTEL_SDK_DISABLED", "True"}, {NULL}},
        {{ENDPOINT}, {"OTEL_TRACES_EXPORTER", "none"}, {NULL}},
        {{"OTEL_TRACES_SAMPLER", "always_on"}, {NULL}},
    };
    struct trace_config c;
    for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
        cr_assert(read_config(&c, off[i]));
        cr_assert_null(c.url);
        trace_config_release(&c);
    }
    assert_no_leaks();
}

Test(trace_config, the_endpoint_of_all_signals_gets_the_path_and_that_of_traces_stays_as_it_is)
{
    static const char all[] = "OTEL_EXPORTER_OTLP_ENDPOINT", traces[] = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    static const struct {
        const char *name, *value, *url;
    } cases[] = {
        {all, "http://c:4318", "http://c:4318/v1/traces"},   {all, "http://c:4318/", "http://c:4318/v1/traces"},
        {all, "https://c/base", "https://c/base/v1/traces"}, {all, "HTTP://[::1]:4318", "HTTP://[::1]:4318/v1/traces"},
        {traces, "http://c:4318/", "http://c:4318/"},        {traces, "https://c/x/y?z=1", "https://c/x/y?z=1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trace_config c;
        const char *pairs[][2] = {{cases[i].name, cases[i].value}, {NULL}};
        cr_assert(read_config(&c, pairs));
        cr_assert_str_eq(c.url, cases[i].url);
        trace_config_release(&c);
    }
    struct trace_config c;
    const char *both[][2] = {{ENDPOINT}, {traces, "http://t/"}, {NULL}};
    cr_assert(read_config(&c, both));
    cr_assert_str_eq(c.url, "http://t/");
    trace_config_release(&c);
    assert_no_leaks();
}

Test(trace_config, the_defaults_are_those_of_the_standard)
{
    struct trace_config c;
    const char *pairs[][2] = {{ENDPOINT}, {NULL}};
    cr_assert(read_config(&c, pairs));
    cr_assert_eq(c.timeout_ms, 10000);
    cr_assert_eq(c.delay_ms, 5000);
    cr_assert_eq(c.batch_spans, 512);
    cr_assert_eq(c.queue_spans, 2048);
    cr_assert(c.sampler.follows_parent);
    cr_assert_float_eq(c.sampler.ratio, 1, 0);
    cr_assert_null(c.headers);
    cr_assert_eq(c.note_count, 0);
    trace_config_release(&c);
    assert_no_leaks();
}

Test(trace_config, headers_are_decoded_and_those_of_traces_go_first)
{
    struct trace_config c;
    const char *pairs[][2] = {{ENDPOINT},
                              {"OTEL_EXPORTER_OTLP_HEADERS", "wrong=1"},
                              {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", " api-key = a%20b%2C%3D , ,empty="},
                              {NULL}};
    cr_assert(read_config(&c, pairs));
    cr_assert_str_eq(c.headers[0], "api-key: a b,=");
    cr_assert_str_eq(c.headers[1], "empty;");
    cr_assert_null(c.headers[2]);
    trace_config_release(&c);
    assert_no_leaks();
}

Test(trace_config, what_could_never_work_is_an_error_that_names_its_variable)
{
    static const char *const cases[][2] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a b"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "=a"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a b=c"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a=%"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a=%4"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a=%4g"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a=b%0d%0aX-Other: 1"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "fine=1,a:=2"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trace_config c;
        const char *pairs[][2] = {{cases[i][0], cases[i][1]}, {ENDPOINT}, {NULL}};
        cr_assert_not(read_config(&c, pairs), "%s=%s", cases[i][0], cases[i][1]);
        cr_assert_eq(strncmp(fault, cases[i][0], strlen(cases[i][0])), 0, "%s", fault);
        trace_config_release(&c);
    }
    assert_no_leaks();
}

Test(trace_config, samplers_are_known_by_their_names)
{
    static const struct {
        const char *name, *arg;
        bool follows_parent;
        double ratio;
        unsigned notes;
    } cases[] = {
        {"always_on", NULL, false, 1, 0},
        {"always_off", NULL, false, 0, 0},
        {"traceidratio", "0.25", false, 0.25, 0},
        {"parentbased_always_on", "0", true, 1, 0},
        {"parentbased_always_off", NULL, true, 0, 0},
        {"parentbased_traceidratio", "0.5", true, 0.5, 0},
        {"parentbased_traceidratio", NULL, true, 1, 0},
        {"parentbased_traceidratio", "2", true, 1, 1},
        {"parentbased_traceidratio", "nan", true, 1, 1},
        {"parentbased_traceidratio", "half", true, 1, 1},
        {"jaeger_remote", NULL, true, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trace_config c;
        const char *pairs[][2] = {
            {ENDPOINT}, {"OTEL_TRACES_SAMPLER", cases[i].name}, {"OTEL_TRACES_SAMPLER_ARG", cases[i].arg}, {NULL}};
        cr_assert(read_config(&c, pairs));
        cr_assert_eq(c.sampler.follows_parent, cases[i].follows_parent, "%s", cases[i].name);
        cr_assert_float_eq(c.sampler.ratio, cases[i].ratio, 0);
        cr_assert_eq(c.note_count, cases[i].notes);
        trace_config_release(&c);
    }
    assert_no_leaks();
}

Test(trace_config, numbers_that_are_none_leave_the_default_and_a_note)
{
    struct trace_config c;
    const char *pairs[][2] = {{ENDPOINT},
                              {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
                              {"OTEL_BSP_SCHEDULE_DELAY", "-1"},
                              {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
                              {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"},
                              {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                              {NULL}};
    cr_assert(read_config(&c, pairs));
    cr_assert_eq(c.timeout_ms, 10000);
    cr_assert_eq(c.delay_ms, 5000);
    cr_assert_eq(c.queue_spans, 100);
    cr_assert_eq(c.batch_spans, 100); /* limited to the size of the queue */
    cr_assert_eq(c.note_count, 4);
    trace_config_release(&c);
    assert_no_leaks();
}

static void expect_resource(const char *service_name, const char *attributes, const char *expected)
{
    struct trace_config c;
    struct buf out = {0};
    const char *pairs[][2] = {
        {ENDPOINT}, {"OTEL_SERVICE_NAME", service_name}, {"OTEL_RESOURCE_ATTRIBUTES", attributes}, {NULL}};
    cr_assert(read_config(&c, pairs));
    trace_config_resource(&c, "fantail-worker", "w1", &out);
    cr_assert_str_eq(buf_cstr(&out), expected);
    buf_release(&out);
    trace_config_release(&c);
}

#define ATTRIBUTE(k, v) "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define OURS            ATTRIBUTE("service.version", FANTAIL_VERSION) "," ATTRIBUTE("service.instance.id", "w1")

Test(trace_config, the_resource_is_what_was_given_and_ours_where_nothing_was)
{
    expect_resource(NULL, NULL, ATTRIBUTE("service.name", "fantail-worker") "," OURS);
    expect_resource("mine", NULL, ATTRIBUTE("service.name", "mine") "," OURS);
    expect_resource(NULL, "service.name=theirs,a=%22x%22",
                    ATTRIBUTE("service.name", "theirs") "," ATTRIBUTE("a", "\\\"x\\\"") "," OURS);
    expect_resource("mine", "service.name=theirs,service.instance.id=7",
                    ATTRIBUTE("service.instance.id", "7") "," ATTRIBUTE("service.name", "mine") "," ATTRIBUTE(
                        "service.version", FANTAIL_VERSION));
    expect_resource("mine", "not a list", ATTRIBUTE("service.name", "mine") "," OURS);
    assert_no_leaks();
}
