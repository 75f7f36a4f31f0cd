#include <criterion/criterion.h>

#include "common/net/media_type.h"

static const char NDJSON[] = "application/x-ndjson", JSON[] = "application/json";

Test(media_type, a_stream_is_for_a_client_that_names_it)
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
    for (size_t i = 0; i < ARRAY_SIZE(stream); i++)
        cr_expect(media_type_prefers(stream[i], NDJSON, JSON), "%s", stream[i]);
}

Test(media_type, every_other_client_gets_one_document)
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
        cr_expect_not(media_type_prefers(document[i], NDJSON, JSON), "%s", document[i] ? document[i] : "(none)");
}

Test(media_type, a_content_type_is_compared_without_case_and_parameters)
{
    static const char *const same[] = {
        "application/json",   "Application/JSON", "application/json;charset=utf-8", "application/json ; charset=utf-8",
        "application/json\t",
    };
    static const char *const other[] = {NULL,
                                        "",
                                        "application",
                                        "application/json5",
                                        "application/x-ndjson",
                                        ";",
                                        "*/*",
                                        "application/json,text/plain"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) cr_expect(media_type_is(same[i], JSON), "%s", same[i]);
    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        cr_expect_not(media_type_is(other[i], JSON), "%s", other[i] ? other[i] : "(none)");
}
