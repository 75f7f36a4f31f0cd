#include "unit/coordinator/items/splitter_harness.h"
#include "unit/json_suite.h"

/* Removes whole items from the front, as the coordinator does. */
static void take_items(struct splitter *s, size_t bytes, uint64_t count)
{
    buf_drop_front(&s->items, bytes);
    s->items_in_buf -= count;
}

static void expect_items(enum split_format format, const char *body, const char *items)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        enum split_status status = split_into(&s, format, body, strlen(body), pieces[i]);
        cr_assert_eq(status, SPLIT_OK, "%s: %s", body, s.error.phrase);
        assert_sane(&s);
        cr_assert_str_eq(buf_cstr(&s.items), items, "in pieces of %zu", pieces[i]);
        cr_assert(s.items_ended);
        splitter_release(&s);
    }
}

static void expect_options(const char *body, const char *options)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        cr_assert_eq(split_into(&s, SPLIT_JOB, body, strlen(body), pieces[i]), SPLIT_OK, "%s", body);
        cr_assert_str_eq(buf_cstr(&s.options), options);
        splitter_release(&s);
    }
}

static void expect_fault(enum split_format format, const char *body, uint64_t offset, const char *pointer,
                         const char *phrase)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        cr_assert_eq(split_into(&s, format, body, strlen(body), pieces[i]), SPLIT_BAD, "%s", body);
        assert_sane(&s);
        cr_assert_eq(s.error.offset, offset, "%s: at %llu", body, (unsigned long long)s.error.offset);
        cr_assert_str_eq(s.error.pointer, pointer);
        cr_assert_str_eq(s.error.phrase, phrase);
        cr_assert_eq(splitter_feed(&s, "1", 1), SPLIT_BAD, "a failed splitter stays failed");
        cr_assert_eq(splitter_finish(&s), SPLIT_BAD);
        splitter_release(&s);
    }
}

Test(splitter, the_items_of_a_job_stream_out_and_the_rest_is_options)
{
    expect_items(SPLIT_JOB, "{\"task\":\"square\",\"items\":[1, 2 ,3],\"order\":\"input\"}", "1\n2\n3\n");
    expect_options("{\"task\":\"square\",\"items\":[1, 2 ,3],\"order\":\"input\"}",
                   "{\"task\":\"square\",\"order\":\"input\"}");
    expect_options(" { \"a\\u0062\" : { \"items\" : [ 1 ,\n 2 ] } } ", "{\"ab\":{ \"items\" : [ 1 , 2 ] }}");
    expect_items(SPLIT_JOB, "{\"items\":[]}", "");
    expect_items(SPLIT_JOB, "{}", "");
    expect_items(SPLIT_JOB, "{\"it\\u0065ms\":[\"a\",null,-0.5e3,{\"items\":[]},[[]],true]}",
                 "\"a\"\nnull\n-0.5e3\n{\"items\":[]}\n[[]]\ntrue\n");
    expect_items(SPLIT_JOB, "{\"items\":[\r\n {\r\n  \"a\\n\": [1,\n 2]\r\n },\r\n 7\r\n]\r\n}\r\n",
                 "{  \"a\\n\": [1, 2] }\n7\n");
    assert_no_leak();
}

Test(splitter, lines_of_json_are_items_whatever_ends_them)
{
    expect_items(SPLIT_NDJSON, "1\n\"two\"\r\n\n \t\r\n{\"a\": [3]}\n[4]", "1\n\"two\"\n{\"a\": [3]}\n[4]\n");
    expect_items(SPLIT_NDJSON, "  1  \n[1,\r2]\n3 \r", "1\n[1,2]\n3\n");
    expect_items(SPLIT_NDJSON, "", "");
    expect_items(SPLIT_NDJSON, "\n\n", "");
    expect_items(SPLIT_NDJSON, "1.5\n-2e9\ntrue\nfalse\nnull\n\"\\u00e9\xC3\xA9\"\n",
                 "1.5\n-2e9\ntrue\nfalse\nnull\n\"\\u00e9\xC3\xA9\"\n");
    assert_no_leak();
}

/* The code that reads long lines in pieces differs from the code for short lines. The two parts of the code must find
 * the same items. */
Test(splitter, long_lines_are_the_same_items_whatever_the_pieces_and_the_guess)
{
    static const char *const shapes[][2] = {{"\"%s\"\n", "\"%s\"\n"},
                                            {"  [\"%s\",\r 1] \r\n", "[\"%s\", 1]\n"},
                                            {"\"\\n%s\"\r\n", "\"\\n%s\"\n"},
                                            {"{\"a\":\"%s\"}\n", "{\"a\":\"%s\"}\n"}};
    enum { LINES = 12 };
    static const size_t sizes[] = {10, 70000, 200000, 65536, 3}, cuts[] = {WHOLE, 100000, 4096},
                        guesses[] = {0, 1000000};
    char *filler = xmalloc(200001);
    struct buf body = {0}, items = {0};
    for (size_t i = 0; i < LINES; i++) {
        size_t n = sizes[i % ARRAY_SIZE(sizes)];
        memset(filler, 'a' + (char)i, n);
        filler[n] = '\0';
        const char *const *shape = shapes[i % ARRAY_SIZE(shapes)];
        const char *at = strstr(shape[0], "%s"), *wanted = strstr(shape[1], "%s");
        buf_add(&body, shape[0], (size_t)(at - shape[0]));
        buf_addf(&body, "%s%s", filler, at + 2);
        buf_add(&items, shape[1], (size_t)(wanted - shape[1]));
        buf_addf(&items, "%s%s", filler, wanted + 2);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cuts) * ARRAY_SIZE(guesses); i++) {
        struct splitter s;
        size_t piece = cuts[i / ARRAY_SIZE(guesses)];
        struct buf all = {0};
        splitter_init(&s, SPLIT_NDJSON, 0);
        splitter_expect(&s, guesses[i % ARRAY_SIZE(guesses)]);
        for (size_t at = 0; at < body.len; at += piece < body.len ? piece : body.len) {
            cr_assert_eq(splitter_feed(&s, body.data + at, body.len - at < piece ? body.len - at : piece), SPLIT_OK);
            buf_add(&all, s.items.data, s.items.len);
            take_items(&s, s.items.len, s.items_in_buf);
        }
        cr_assert_eq(splitter_finish(&s), SPLIT_OK);
        cr_assert_eq(s.item_count, LINES);
        cr_assert_eq(all.len, items.len);
        cr_assert_eq(memcmp(all.data, items.data, all.len), 0, "in pieces of %zu", piece);
        buf_release(&all);
        splitter_release(&s);
    }
    buf_release(&body);
    buf_release(&items);
    free(filler);
}

Test(splitter, a_long_line_that_is_no_json_is_refused_at_its_place)
{
    enum { LEN = 300000 };
    struct buf body = {0};
    buf_add_str(&body, "1\n\"");
    while (body.len < LEN) buf_add_char(&body, 'x');
    buf_add_str(&body, "\" 2\n3\n");
    struct splitter s;
    cr_assert_eq(split_into(&s, SPLIT_NDJSON, body.data, body.len, 50000), SPLIT_BAD);
    cr_assert_eq(s.error.offset, LEN + 2, "the fault is at the byte after the string and its space");
    cr_assert_str_eq(s.error.pointer, "/items/1");
    splitter_release(&s);
    buf_release(&body);
}

/* Feeds the start of a line, without its newline. The splitter must find the fault before the line ends. If the
 * splitter searched a long line for faults only at the end of the line, all other requests would have to wait for this
 * search. */
static void expect_fault_before_the_end(enum split_format format, const char *start, uint64_t offset)
{
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        size_t len = strlen(start), at = 0;
        enum split_status status = SPLIT_OK;
        splitter_init(&s, format, 0);
        for (; at < len && status == SPLIT_OK; at += pieces[i])
            status = splitter_feed(&s, start + at, len - at < pieces[i] ? len - at : pieces[i]);
        cr_assert_eq(status, SPLIT_BAD, "%s in pieces of %zu", start, pieces[i]);
        cr_assert_eq(s.error.offset, offset, "%s: at %llu", start, (unsigned long long)s.error.offset);
        splitter_release(&s);
    }
}

Test(splitter, a_line_is_read_as_it_comes_and_not_at_its_end)
{
    expect_fault_before_the_end(SPLIT_NDJSON, "1\n [1, 2, x 3", 10);
    expect_fault_before_the_end(SPLIT_NDJSON, "1\n [1] , 3", 7);
    expect_fault_before_the_end(SPLIT_NDJSON, "1\n \"ab\xFFyz", 6);
    expect_fault_before_the_end(SPLIT_NDJSON, "1\n \xEF\xBB\xBC 3", 3);
    expect_fault_before_the_end(SPLIT_TEXT, "a\n\"ab\xFFyz", 5);
    expect_fault_before_the_end(SPLIT_TEXT, "a\nb\xE3\x81zzz", 3);
    assert_no_leak();
}

Test(splitter, a_long_line_is_the_same_in_whatever_pieces_it_comes)
{
    enum { REPEATS = 20000 };
    struct buf text = {0}, string = {0}, json = {0}, item = {0};
    buf_add_char(&string, '"');
    buf_add_char(&json, '[');
    buf_add_char(&item, '[');
    for (int i = 0; i < REPEATS; i++) {
        buf_add_str(&text, "a\"\r\t\xC3\xA9\xE3\x81\x82\xF0\x9D\x84\x9E\r");
        buf_add_str(&string, "a\\\"\\r\\t\xC3\xA9\xE3\x81\x82\xF0\x9D\x84\x9E\\r");
        buf_add_str(&json, "\r 12 \r\r, \"\xE3\x81\x82\",");
        buf_add_str(&item, " 12 , \"\xE3\x81\x82\",");
    }
    buf_add_str(&text, "\r\n");
    buf_add_str(&string, "\"\n");
    buf_add_str(&json, "0] \r\n");
    buf_add_str(&item, "0]\n");
    expect_items(SPLIT_TEXT, buf_cstr(&text), buf_cstr(&string));
    expect_items(SPLIT_NDJSON, buf_cstr(&json), buf_cstr(&item));
    buf_release(&text);
    buf_release(&string);
    buf_release(&json);
    buf_release(&item);
    assert_no_leak();
}

Test(splitter, lines_of_text_are_strings)
{
    expect_items(SPLIT_TEXT, "a b\n\nc\"\\\t\x01\r\n\xE3\x81\x82\xF0\x9D\x84\x9E\x7F",
                 "\"a b\"\n\"\"\n\"c\\\"\\\\\\t\\u0001\"\n\"\xE3\x81\x82\xF0\x9D\x84\x9E\x7F\"\n");
    expect_items(SPLIT_TEXT, "", "");
    expect_items(SPLIT_TEXT, "\n", "\"\"\n");
    expect_items(SPLIT_TEXT, "a\rb\r\r\n", "\"a\\rb\\r\"\n");
    assert_no_leak();
}

Test(splitter, a_value_that_goes_on_after_its_line_gets_a_hint)
{
    static const struct {
        const char *body;
        bool hinted;
    } cases[] = {{"{\n\"task\":1}\n", true}, {"[\n1]", true},  {"1\n{\"a\":", true}, {"{]\n", false},
                 {"nul\n", false},           {"\"a\n", false}, {"1 2\n", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        const char *body = cases[i % ARRAY_SIZE(cases)].body;
        cr_assert_eq(split_into(&s, SPLIT_NDJSON, body, strlen(body), pieces[i / ARRAY_SIZE(cases)]), SPLIT_BAD);
        cr_assert_eq(s.error.hint != NULL, cases[i % ARRAY_SIZE(cases)].hinted, "%s", body);
        splitter_release(&s);
    }
}

Test(splitter, faults_are_told_with_their_place_and_pointer)
{
    expect_fault(SPLIT_JOB, "", 0, "", "the body ends too early");
    expect_fault(SPLIT_JOB, "[1]", 0, "", "a job object was expected");
    expect_fault(SPLIT_JOB, "{\"items\":[1,2", 13, "/items/1", "the body ends too early");
    expect_fault(SPLIT_JOB, "{\"items\":[1,2,]}", 14, "/items/2", "a value was expected");
    expect_fault(SPLIT_JOB, "{\"items\":[1 2]}", 12, "/items/1", "a comma or ] was expected");
    expect_fault(SPLIT_JOB, "{\"items\":[1,02]}", 13, "/items/2", "a comma or ] was expected");
    expect_fault(SPLIT_JOB, "{\"items\":[NaN]}", 10, "/items/0", "a value was expected");
    expect_fault(SPLIT_JOB, "{\"items\":{}}", 9, "/items", "the items must be an array");
    expect_fault(SPLIT_JOB, "{\"items\":[],\"items\":[]}", 19, "/items", "the job object has the same name twice");
    expect_fault(SPLIT_JOB, "{\"a/~\":1,\"a\\/~\":2}", 15, "/a~1~0", "the job object has the same name twice");
    expect_fault(SPLIT_JOB, "{\"\":1,\"\":2}", 8, "/", "the job object has the same name twice");
    expect_fault(SPLIT_JOB, "{\"common\":{\"a\":}}", 15, "/common", "a value was expected");
    expect_fault(SPLIT_JOB, "{\"items\":[1]} x", 14, "", "nothing was expected after the job object");
    expect_fault(SPLIT_JOB, "{\"a\":1,}", 7, "", "a name in quotes was expected");
    expect_fault(SPLIT_JOB, "{\"a\" 1}", 5, "/a", "a colon was expected");
    expect_fault(SPLIT_NDJSON, "1\n2\n[3\n", 6, "/items/2", "the text ends too early");
    expect_fault(SPLIT_NDJSON, "1\n 2 3\n", 5, "/items/1", "nothing was expected after the value on its line");
    expect_fault(SPLIT_NDJSON, "[1,\n2]\n", 3, "/items/0", "the text ends too early");
    expect_fault(SPLIT_TEXT, "ab\nc\xFF\n", 4, "/items/1", "the text is not valid UTF-8");
    expect_fault(SPLIT_TEXT, "a\xE3\x81", 1, "/items/0", "the text is not valid UTF-8");
    assert_no_leak();
}

Test(splitter, a_byte_order_mark_is_passed_over_at_the_start_only)
{
    expect_items(SPLIT_JOB, "\xEF\xBB\xBF{\"items\":[1,\"\xEF\xBB\xBF\"]}", "1\n\"\xEF\xBB\xBF\"\n");
    expect_items(SPLIT_NDJSON,
                 "\xEF\xBB\xBF"
                 "1\r\n2",
                 "1\n2\n");
    expect_items(SPLIT_TEXT,
                 "\xEF\xBB\xBF"
                 "a\nb\xEF\xBB\xBF\n",
                 "\"a\"\n\"b\xEF\xBB\xBF\"\n");
    expect_items(SPLIT_TEXT, "\xEF\xBB\xBF", "");
    expect_items(SPLIT_NDJSON, "\xEF\xBB\xBF\n", "");
    expect_fault(SPLIT_NDJSON, "\xEF\xBB\xBF[1", 5, "/items/0", "the text ends too early");
    expect_fault(SPLIT_NDJSON,
                 "1\n \xEF\xBB\xBF"
                 "2",
                 3, "/items/1", "a byte order mark is only allowed at the start of the body");
    expect_fault(SPLIT_TEXT,
                 "a\n\xEF\xBB\xBF"
                 "b",
                 2, "/items/1", "a byte order mark is only allowed at the start of the body");
    expect_fault(SPLIT_JOB, "\xEF\xBB\xBF[1]", 3, "", "a job object was expected");
    expect_fault(SPLIT_TEXT, "\xEF\xBB", 0, "/items/0", "the text is not valid UTF-8");
    assert_no_leak();
}

Test(splitter, other_encodings_are_named_in_pieces_of_any_size)
{
    static const char le[] = "{\0}\0", be[] = "\xFE\xFF\0{", nul[] = "ab\0\n";
    static const enum split_format formats[] = {SPLIT_JOB, SPLIT_NDJSON, SPLIT_TEXT};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        for (size_t piece = 1; piece < 6; piece++) {
            struct splitter s;
            cr_assert_eq(split_into(&s, formats[i], le, sizeof le - 1, piece), SPLIT_BAD);
            cr_assert(s.error.offset == 0 && strstr(s.error.phrase, "UTF-16 (little endian)"), "%s", s.error.phrase);
            splitter_release(&s);
            cr_assert_eq(split_into(&s, formats[i], be, sizeof be - 1, piece), SPLIT_BAD);
            cr_assert(s.error.offset == 0 && strstr(s.error.phrase, "UTF-16 (big endian)"), "%s", s.error.phrase);
            splitter_release(&s);
        }
    }
    struct splitter s;
    cr_assert_eq(split_into(&s, SPLIT_TEXT, nul, sizeof nul - 1, WHOLE), SPLIT_BAD);
    cr_assert(s.error.offset == 2 && strstr(s.error.phrase, "NUL byte"), "%s", s.error.phrase);
    splitter_release(&s);
    assert_no_leak();
}

Test(splitter, the_place_of_the_longest_option_is_told)
{
    struct buf body = {0};
    buf_add_str(&body, "{\"a\":[1], \"b\":\n [\n0");
    while (body.len < LONG_OPTION_BYTES + 100) buf_add_str(&body, ",\n1");
    buf_add_str(&body, "], \"c\":\"");
    for (size_t i = 0; i < LONG_OPTION_BYTES; i++) buf_add_char(&body, 'c');
    buf_add_str(&body, "\",\"items\":[1]}");
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct splitter s;
        cr_assert_eq(split_into(&s, SPLIT_JOB, body.data, body.len, pieces[i]), SPLIT_OK);
        const char *value = s.options.data + s.long_at;
        cr_assert_eq(s.long_len, LONG_OPTION_BYTES + 2);
        cr_assert(value[0] == '"' && value[s.long_len - 1] == '"' && value[-1] == ':');
        splitter_release(&s);
    }
    buf_release(&body);
    expect_options("{\"a\":[1]}", "{\"a\":[1]}");
}

Test(splitter, a_short_first_line_is_an_item_at_once)
{
    static const enum split_format formats[] = {SPLIT_NDJSON, SPLIT_TEXT};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct splitter s;
        splitter_init(&s, formats[i], 0);
        cr_assert(splitter_is_empty(&s));
        cr_assert_eq(splitter_feed(&s, "1", 1), SPLIT_OK);
        cr_assert_eq(splitter_feed(&s, "\n", 1), SPLIT_OK);
        cr_assert(s.items_in_buf == 1 && !splitter_is_empty(&s));
        splitter_release(&s);
    }
}

Test(splitter, a_name_must_be_text)
{
    expect_fault(SPLIT_JOB, "{\"a\\u0000\":1}", 1, "/a", "a string has the NUL character \\u0000");
    expect_fault(SPLIT_JOB, "{\"\\ud800\":1}", 1, "/\xEF\xBF\xBD",
                 "a string has half of a surrogate pair, which UTF-8 cannot express");
}

Test(splitter, items_before_a_fault_are_kept)
{
    struct splitter s;
    cr_assert_eq(split_into(&s, SPLIT_NDJSON, "1\n2\n}\n", 6, WHOLE), SPLIT_BAD);
    cr_assert_str_eq(buf_cstr(&s.items), "1\n2\n");
    splitter_release(&s);
    assert_no_leak();
}

Test(splitter, options_are_whole_at_any_time_and_items_can_be_drained)
{
    struct splitter s;
    splitter_init(&s, SPLIT_JOB, 0);
    const char first[] = "{\"task\":\"a\",\"items\":[1,2,3,4", second[] = "5],\"order\":\"input\"}";
    cr_assert_eq(splitter_feed(&s, first, strlen(first)), SPLIT_OK);
    cr_assert_str_eq(buf_cstr(&s.options), "{\"task\":\"a\"}");
    cr_assert_str_eq(buf_cstr(&s.items), "1\n2\n3\n");
    cr_assert(s.items_seen && !s.items_ended);
    cr_assert_eq(s.partial.len, 1);
    cr_assert_eq(s.items_in_buf, 3);
    take_items(&s, 4, 2);
    cr_assert_eq(splitter_feed(&s, second, strlen(second)), SPLIT_OK);
    cr_assert_eq(splitter_finish(&s), SPLIT_OK);
    cr_assert_str_eq(buf_cstr(&s.items), "3\n45\n");
    cr_assert_eq(s.item_count, 4);
    splitter_release(&s);
    splitter_release(&s);
    assert_no_leak();
}

Test(splitter, lines_are_cut_by_count_and_by_bytes)
{
    struct buf b = {0};
    for (int i = 0; i < 1000; i++) buf_addf(&b, "%d\n", i);
    for (uint64_t max = 0; max <= 1001; max++) {
        uint64_t lines;
        size_t n = lines_cut(b.data, b.len, max, SIZE_MAX, &lines);
        cr_assert_eq(lines, max < 1000 ? max : 1000);
        uint64_t count = 0;
        for (size_t i = 0; i < n; i++) count += b.data[i] == '\n';
        cr_assert_eq(count, lines);
        cr_assert(n == 0 || b.data[n - 1] == '\n');
    }
    for (size_t max = 0; max < 200; max++) {
        uint64_t lines;
        size_t n = lines_cut(b.data, b.len, UINT64_MAX, max, &lines);
        cr_assert(n <= max || (lines == 1 && n == 2));
        cr_assert(lines >= 1 && b.data[n - 1] == '\n');
    }
    uint64_t lines;
    cr_assert_eq(lines_cut("abc", 3, 5, 2, &lines), 0);
    cr_assert_eq(lines, 0);
    buf_release(&b);
    assert_no_leak();
}
