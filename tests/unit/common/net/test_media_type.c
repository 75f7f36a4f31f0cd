#include <criterion/criterion.h>

#include "common/net/media_type.h"

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
        "application/jsonl, text/json;q=0.9",
        "text/x-ndjson;x=\"q=0\";q=0.3",
    };
    for (size_t i = 0; i < ARRAY_SIZE(stream); i++)
        cr_expect(media_type_prefers(stream[i], MEDIA_NDJSON, MEDIA_JSON), "%s", stream[i]);
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
        cr_expect_not(media_type_prefers(document[i], MEDIA_NDJSON, MEDIA_JSON), "%s",
                      document[i] ? document[i] : "(none)");
}

Test(media_type, each_form_has_several_names)
{
    static const struct {
        const char *type;
        enum media_form form;
    } cases[] = {
        {NULL, MEDIA_NONE},
        {"", MEDIA_NONE},
        {" ", MEDIA_NONE},
        {"application/json", MEDIA_JSON},
        {" Application/JSON ; charset=utf-8", MEDIA_JSON},
        {"text/json\t", MEDIA_JSON},
        {"application/x-ndjson", MEDIA_NDJSON},
        {"application/ndjson", MEDIA_NDJSON},
        {"application/JSONL;", MEDIA_NDJSON},
        {"application/x-jsonlines", MEDIA_NDJSON},
        {"text/json-lines", MEDIA_NDJSON},
        {"application/x-ldjson", MEDIA_NDJSON},
        {"text/plain", MEDIA_TEXT},
        {"Text/Plain;format=flowed", MEDIA_TEXT},
        {"application/x-www-form-urlencoded", MEDIA_FORM},
        {"application", MEDIA_OTHER},
        {"application/", MEDIA_OTHER},
        {"application/json5", MEDIA_OTHER},
        {"application/json-seq", MEDIA_OTHER},
        {"application/vnd.fantail.chunk+x-ndjson", MEDIA_OTHER},
        {"application/json, text/plain", MEDIA_OTHER},
        {"application/json,text/plain", MEDIA_OTHER},
        {"application/json x", MEDIA_OTHER},
        {"x-application/json", MEDIA_OTHER},
        {"text/x-plain", MEDIA_OTHER},
        {";", MEDIA_OTHER},
        {"*/*", MEDIA_OTHER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_expect_eq(media_type_form(cases[i].type), cases[i].form, "%s", cases[i].type ? cases[i].type : "(none)");
}

Test(media_type, one_type_is_compared_without_case_and_parameters)
{
    static const char type[] = "application/vnd.fantail.chunk+x-ndjson";
    cr_assert(media_type_is(type, type) && media_type_is("Application/VND.fantail.chunk+x-ndjson ; a=b", type));
    cr_assert(!media_type_is(NULL, type) && !media_type_is("", type) && !media_type_is("application/x-ndjson", type));
}

Test(media_type, a_charset_other_than_utf_8_is_named)
{
    static const struct {
        const char *type, *charset;
    } cases[] = {
        {NULL, NULL},
        {"text/plain", NULL},
        {"text/plain;charset=utf-8", NULL},
        {"text/plain; Charset=\"UTF-8\"", NULL},
        {"text/plain; a=\";charset=latin1\"; charset=utf8", NULL},
        {"text/plain;charset=US-ASCII", NULL},
        {"text/plain;xcharset=latin1", NULL},
        {"text/plain;charset=utf-16", "utf-16"},
        {"text/plain;charset=\"utf-16le\"", "utf-16le"},
        {"text/plain;q=1 ; CHARSET=iso-8859-1;x", "iso-8859-1"},
        {"text/plain;charset=", ""},
        {"text/plain;charset=\"", "\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char charset[MEDIA_CHARSET_SIZE] = "?";
        const char *type = cases[i].type ? cases[i].type : "(none)";
        cr_expect_eq(media_type_is_utf8(cases[i].type, charset), cases[i].charset == NULL, "%s", type);
        if (cases[i].charset) cr_expect_str_eq(charset, cases[i].charset, "%s", type);
    }
}
