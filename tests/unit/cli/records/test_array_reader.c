/* A JSON array: its values, whatever pieces they come in, and faults with their lines. */
#include <criterion/criterion.h>

#include "cli/records/array_reader.h"
#include "unit/leaks.h"

/* Returns the values, each with the line where it begins, or the fault with its line. */
static const char *values_of(const char *json, size_t piece)
{
    static char text[1000];
    struct array_reader a = {0};
    struct input_record r = {0};
    struct buf out = {0};
    const char *why = NULL;
    enum record_step step = RECORD_MORE;
    for (size_t at = 0, left = strlen(json); left > 0 && step != RECORD_FAULT;) {
        size_t n = left < piece ? left : piece, rest = n;
        const char *data = json + at;
        while (rest > 0 && (step = array_reader_read(&a, &data, &rest, &r, &why)) != RECORD_FAULT) {
            if (step != RECORD_WHOLE) continue;
            struct json_slice value = record_value(&r, 0);
            buf_addf(&out, "%d:", (int)a.first_line);
            buf_add(&out, value.data, value.len);
            buf_add_char(&out, ';');
            record_clear(&r);
        }
        at += n;
        left -= n;
    }
    if (step != RECORD_FAULT) step = array_reader_end(&a, &why);
    if (step == RECORD_FAULT) buf_addf(&out, "line %d: %s", (int)a.first_line, why);
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    buf_release(&out);
    record_release(&r);
    array_reader_release(&a);
    return text;
}

Test(array_reader, each_value_is_a_record_whatever_the_pieces)
{
    static const struct {
        const char *json, *values;
    } rows[] = {
        {"", ""},
        {" \n", ""},
        {"[]", ""},
        {" [ \n ] \n", ""},
        {"[1]", "1:1;"},
        {"[1, 2,\n3 ]", "1:1;1:2;2:3;"},
        {"[\n  {\"a\": [1, 2],\n   \"b\": \"],\\\"[\\\\\"},\n  \"x\"\n]\n",
         "2:{\"a\": [1, 2],\n   \"b\": \"],\\\"[\\\\\"};4:\"x\";"},
        {"[[[]],{}]", "1:[[]];1:{};"},
        {"[1,,2,]", "1:1;1:;1:2;1:;"}, /* the caller finds that these texts are not values */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t piece = 1; piece <= 8; piece += 1 + piece / 3)
            cr_expect_str_eq(values_of(rows[i].json, piece), rows[i].values, "%s in pieces of %zu bytes: %s",
                             rows[i].json, piece, values_of(rows[i].json, piece));
    assert_no_leaks();
}

Test(array_reader, a_fault_has_its_line)
{
    cr_expect_str_eq(values_of("\n{\"items\":[1]}", 3), "line 2: not a JSON array: it does not begin with [");
    cr_expect_str_eq(values_of("[1]\n[2]\n", 3), "1:1;line 2: there is more text after the end of the array");
    cr_expect_str_eq(values_of("[1,\n2", 3), "1:1;line 2: the array has no end");
    cr_expect_str_eq(values_of("[\"]", 3), "line 1: the array has no end");
    assert_no_leaks();
}
