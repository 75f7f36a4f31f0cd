#include <criterion/criterion.h>

#include "common/net/media_type.h"

Test(accept, a_stream_is_for_who_names_it)
{
    static const char *const stream[] = {
        "application/x-ndjson",
        "Application/X-NDJSON; q=0.5",
        "text/html, application/x-ndjson;q=0.9",
        "*/*, application/x-ndjson;q=0.001",
        "application/json, application/x-ndjson",
        "application/json;q=0.5,application/x-ndjson;charset=utf-8;q=0.6",
        "application/json;q=0 , application/x-ndjson ;q=0.1",
        ", ,application/x-ndjson",
        "application/x-ndjson;",
        "application/x-ndjson;q=0.2, application/x-ndjson;q=1, application/json;q=0.9",
    };
    for (size_t i = 0; i < ARRAY_SIZE(stream); i++) cr_expect(accept_is_stream(stream[i]), "%s", stream[i]);
}

Test(accept, everybody_else_gets_one_document)
{
    static const char *const document[] = {
        NULL,
        "",
        ",",
        ";",
        "*/*",
        "application/*",
        "application/json",
        "text/html",
        "application/x-ndjson;q=0",
        "application/x-ndjson;q=0.0, */*",
        "application/x-ndjson;q=0.5, application/json",
        "application/x-ndjson;q=",
        "application/x-ndjson;q=nonsense",
        "application/x-ndjsonish",
        "x-application/x-ndjson",
        "text/plain;for=application/x-ndjson",
    };
    for (size_t i = 0; i < ARRAY_SIZE(document); i++)
        cr_expect_not(accept_is_stream(document[i]), "%s", document[i] ? document[i] : "(none)");
}
