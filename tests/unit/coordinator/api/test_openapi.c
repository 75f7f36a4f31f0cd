/* The options of a job and the words of the protocol in openapi.json are the same as in the tables of the
 * coordinator. */
#include "coordinator/api/api_openapi.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include "coordinator/items/jobspec_fields.h"
#include "coordinator/sched/scheduler.h"
#include "coordinator/status/status.h"
#include "coordinator/store/store.h"

#define FILE_NAME "services/coordinator/api/openapi.json"

/* The coordinator always refuses these options, because a task cannot reduce values yet. */
static const char *const refused[] = {"reduce.task", "reduce.fan_in"};

static cJSON *document;
static struct jobspec defaults;

static void setup(void)
{
    document = cJSON_Parse(openapi_document);
    cr_assert(document, FILE_NAME " is not JSON at: %.60s", cJSON_GetErrorPtr());
    jobspec_init(&defaults);
}

static void teardown(void)
{
    cJSON_Delete(document);
    jobspec_release(&defaults);
}

TestSuite(openapi, .init = setup, .fini = teardown);

static const cJSON *get(const cJSON *from, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(from, name);
}

static const cJSON *schema_of(const char *name)
{
    const cJSON *schema = get(get(get(document, "components"), "schemas"), name);
    cr_assert(schema, FILE_NAME " has no schema %s", name);
    return schema;
}

static bool is_refused(const char *option)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (strcmp(option, refused[i]) == 0) return true;
    return false;
}

static const cJSON *option_schema(const struct field *f)
{
    const cJSON *at = schema_of("Job");
    char name[64];
    if (f->query_only) return get(get(get(get(document, "components"), "parameters"), f->name), "schema");
    snprintf(name, sizeof name, "%s", f->name);
    for (char *rest = name, *part; at && (part = strsep(&rest, "."));) at = get(get(at, "properties"), part);
    return at;
}

static size_t count_options(const cJSON *schema)
{
    const cJSON *property;
    size_t n = 0;
    cJSON_ArrayForEach(property, get(schema, "properties"))
    {
        n += get(property, "properties") ? count_options(property) : 1;
    }
    return n;
}

static bool has_type(const cJSON *schema, const char *type, bool nullable)
{
    const cJSON *is = get(schema, "type");
    if (!nullable) return cJSON_IsString(is) && strcmp(is->valuestring, type) == 0;
    return cJSON_GetArraySize(is) == 2 && strcmp(cJSON_GetArrayItem(is, 0)->valuestring, type) == 0 &&
           strcmp(cJSON_GetArrayItem(is, 1)->valuestring, "null") == 0;
}

static bool has_number(const cJSON *schema, const char *name, double n)
{
    const cJSON *value = get(schema, name);
    return cJSON_IsNumber(value) && value->valuedouble == n;
}

/* Returns whether the array has this word. */
static bool lists(const cJSON *array, const char *word)
{
    const cJSON *element;
    cJSON_ArrayForEach(element, array)
    {
        if (cJSON_IsString(element) && strcmp(element->valuestring, word) == 0) return true;
    }
    return false;
}

static void check_bounds(const struct field *f, const cJSON *schema)
{
    const char *type = f->type == FIELD_INT ? "integer" : "number";
    cr_expect(has_type(schema, type, f->nullable), "%s: the type must be %s", f->name, type);
    cr_expect(has_number(schema, "minimum", f->min), "%s: the minimum must be %.0f", f->name, f->min);
    cr_expect(has_number(schema, "maximum", f->max), "%s: the maximum must be %.0f", f->name, f->max);
}

static void check_words(const struct field *f, const cJSON *schema)
{
    int n = 0;
    for (size_t i = 0; i < f->word_count; i++) {
        if (!f->words[i]) continue;
        n++;
        cr_expect(lists(get(schema, "enum"), f->words[i]), "%s: the enum must have %s", f->name, f->words[i]);
    }
    cr_expect_eq(cJSON_GetArraySize(get(schema, "enum")), n, "%s: the enum has a word too many", f->name);
}

static void check_type(const struct field *f, const cJSON *schema)
{
    switch (f->type) {
    case FIELD_INT:
    case FIELD_NUMBER: check_bounds(f, schema); break;
    case FIELD_WORD: check_words(f, schema); break;
    case FIELD_BOOL: cr_expect(has_type(schema, "boolean", false), "%s: the type must be boolean", f->name); break;
    case FIELD_ERRORS:
    case FIELD_LABELS: cr_expect(has_type(schema, "array", false), "%s: the type must be array", f->name); break;
    case FIELD_TASKS: cr_expect(get(schema, "oneOf"), "%s: the type must be a name or an array", f->name); break;
    case FIELD_URL: cr_expect(has_type(schema, "string", false), "%s: the type must be string", f->name); break;
    case FIELD_RAW: cr_expect(!get(schema, "type"), "%s: the option may have any type", f->name); break;
    case FIELD_TASK: cr_expect_fail("%s: compare this type here", f->name);
    }
}

/* A default in the document must be the default that jobspec_init() sets. An option must have a default if it is a
 * number or a boolean, except the members of `range` and `spans`. */
static void check_default(const struct field *f, const cJSON *schema)
{
    const cJSON *is = get(schema, "default");
    const char *place = (const char *)&defaults + f->offset;
    bool source = strncmp(f->name, "range.", 6) == 0 || strncmp(f->name, "spans.", 6) == 0;
    bool single = f->type == FIELD_INT || f->type == FIELD_NUMBER || f->type == FIELD_BOOL;
    if (!is) cr_expect(!single || source, "%s: the default is missing", f->name);
    if (!is || source) return;
    if (f->type == FIELD_INT && !f->nullable)
        cr_expect_eq(is->valuedouble, (double)*(const int64_t *)place, "%s", f->name);
    if (f->type == FIELD_INT && f->nullable) cr_expect(cJSON_IsNull(is), "%s: the default must be null", f->name);
    if (f->type == FIELD_NUMBER) cr_expect_eq(is->valuedouble, *(const double *)place, "%s: default", f->name);
    if (f->type == FIELD_BOOL) cr_expect_eq(cJSON_IsTrue(is), *(const bool *)place, "%s: default", f->name);
    if (f->type == FIELD_WORD) cr_expect_str_eq(is->valuestring, f->words[*(const unsigned *)place], "%s", f->name);
}

Test(openapi, each_option_has_its_type_its_bounds_and_its_default)
{
    size_t in_object = 0;
    for (size_t i = 0; i < jobspec_field_count; i++) {
        const struct field *f = &jobspec_fields[i];
        const cJSON *schema = option_schema(f);
        if (is_refused(f->name)) continue;
        in_object += !f->query_only;
        cr_expect(schema, "add the option %s to the schema Job of " FILE_NAME, f->name);
        if (!schema) continue;
        check_type(f, schema);
        check_default(f, schema);
    }
    cr_expect_eq(count_options(schema_of("Job")), in_object + 1, "the schema Job has an option that is in no table");
}

Test(openapi, each_option_is_a_parameter_of_the_query)
{
    const cJSON *parameters = get(get(get(get(document, "paths"), "/v1/jobs"), "post"), "parameters"), *p;
    size_t in_query = 0, expected = 0;
    cJSON_ArrayForEach(p, parameters)
    {
        const cJSON *reference = get(p, "$ref"), *name = get(p, "name");
        if (!reference) cr_expect(jobspec_field(name->valuestring), "no option is called %s", name->valuestring);
        in_query += !reference;
    }
    for (size_t i = 0; i < jobspec_field_count; i++) {
        const struct field *f = &jobspec_fields[i];
        bool found = false;
        if (is_refused(f->name) || f->query_only) continue;
        expected++;
        cJSON_ArrayForEach(p, parameters)
        {
            found |= get(p, "name") && strcmp(get(p, "name")->valuestring, f->name) == 0;
        }
        cr_expect(found, "add %s to the parameters of POST /v1/jobs in " FILE_NAME, f->name);
    }
    cr_expect_eq(in_query, expected, "a parameter of POST /v1/jobs occurs twice in " FILE_NAME);
}

Test(openapi, the_errors_that_are_retried_by_default_are_those_of_the_table)
{
    const cJSON *schema = option_schema(jobspec_field("retry.on"));
    int n = 0;
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        bool is_default = defaults.retry.on >> e & 1;
        n += is_default;
        if (is_default) cr_expect(lists(get(schema, "default"), item_error_name((enum item_error)e)), "%d", e);
    }
    cr_expect_eq(cJSON_GetArraySize(get(schema, "default")), n);
}

Test(openapi, each_item_error_is_in_the_document)
{
    const cJSON *retried = get(schema_of("RetriedError"), "enum");
    const cJSON *all = get(get(get(schema_of("ItemError"), "properties"), "name"), "examples");
    for (int e = 0; e < ITEM_ERROR_COUNT; e++) {
        const char *name = item_error_name((enum item_error)e);
        bool final = e == ITEM_CANCELLED || e == ITEM_DEADLINE_EXCEEDED;
        cr_expect(lists(all, name), "add %s to the schema ItemError", name);
        cr_expect_eq(lists(retried, name), !final, "the schema RetriedError and %s", name);
    }
    cr_expect_eq(cJSON_GetArraySize(all), ITEM_ERROR_COUNT);
    cr_expect_eq(cJSON_GetArraySize(retried), ITEM_ERROR_COUNT - 2);
}

Test(openapi, each_status_and_each_reason_to_wait_is_in_the_document)
{
    const cJSON *statuses = get(schema_of("JobStatus"), "enum");
    const cJSON *reasons = get(get(get(schema_of("Waiting"), "properties"), "reason"), "enum");
    for (int s = 0; s < STORED_STATE_COUNT; s++)
        cr_expect_eq(lists(statuses, stored_state_name((enum stored_state)s)), s != STORED_RECEIVING, "%d", s);
    cr_expect_eq(cJSON_GetArraySize(statuses), STORED_STATE_COUNT - 1);
    for (int w = 0; w < SCHED_WAITING_COUNT; w++)
        cr_expect_eq(lists(reasons, sched_waiting_name((enum sched_waiting)w)), w != SCHED_NOT_WAITING, "%d", w);
    cr_expect(lists(reasons, WAITING_FOR_STORE));
    cr_expect_eq(cJSON_GetArraySize(reasons), SCHED_WAITING_COUNT);
}
