#include <criterion/criterion.h>

#include "coordinator/fleet/worker_fleet.h"

static const struct http_call_result refused = {.outcome = HTTP_CALL_NOT_CONNECTED, .reason = "connection refused"};
static const struct http_call_result fine = {.outcome = HTTP_CALL_OK, .status = 200};

Test(connect_error, a_reason_goes_with_the_worker_that_it_names)
{
    struct endpoint a = {.url = "http://a:1", .connect_to = "10.0.0.1:1"}, b = {.url = "http://b:1"};
    struct connect_error c = {0};
    connect_error_note(&c, &a, &refused);
    cr_assert_str_eq(c.reason, "http://a:1 (10.0.0.1:1): connection refused");
    connect_error_forget(&c, &b);
    cr_assert_str_not_empty(c.reason);
    connect_error_forget(&c, &a);
    cr_assert_str_empty(c.reason);
    connect_error_note(&c, &a, &refused);
    connect_error_note(&c, &b, &refused);
    connect_error_forget(&c, &a);
    cr_assert_str_eq(c.reason, "http://b:1: connection refused");
    connect_error_note(&c, &a, &fine);
    cr_assert_str_empty(c.reason);
}

Test(connect_error, a_fault_has_the_name_that_is_not_found_and_the_worker_that_is_not_reached)
{
    static struct worker_fleet f;
    struct endpoint a = {.url = "http://a:1"};
    char text[200];
    cr_assert_null(worker_fleet_fault(&f));
    worker_fleet_explain(&f, "no worker", text, sizeof text);
    cr_assert_str_eq(text, "no worker");
    snprintf(f.endpoints.lookup_fault, sizeof f.endpoints.lookup_fault, "the name w has no address");
    cr_assert_str_eq(worker_fleet_fault(&f), "the name w has no address");
    connect_error_note(&f.connect_error, &a, &refused);
    worker_fleet_explain(&f, "no worker", text, sizeof text);
    cr_assert_str_eq(text, "no worker: the name w has no address; http://a:1: connection refused");
    f.endpoints.lookup_fault[0] = '\0';
    cr_assert_str_eq(worker_fleet_fault(&f), "http://a:1: connection refused");
}
