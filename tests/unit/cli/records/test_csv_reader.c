/* CSV: values in quotes, ends of records, and faults with their lines. */
#include <criterion/criterion.h>

#include "cli/records/csv_reader.h"
#include "unit/leaks.h"

static void show(struct input_record *r, struct buf *out)
{
    for (size_t i = 0; i < r->count; i++) {
        struct json_slice value = record_value(r, i);
        buf_add_char(out, '[');
        buf_add(out, value.data, value.len);
        buf_add_char(out, ']');
    }
    buf_add_char(out, ';');
    record_clear(r);
}

/* Returns the records, or the fault with its line. The bytes come in pieces of `piece` bytes. */
static const char *records_of(const char *csv, char separator, size_t piece)
{
    static char text[1000];
    struct csv_reader c = {.separator = separator};
    struct input_record r = {0};
    struct buf out = {0};
    const char *why = NULL;
    enum record_step step = RECORD_MORE;
    for (size_t at = 0, left = strlen(csv); left > 0 && step != RECORD_FAULT;) {
        size_t n = left < piece ? left : piece, rest = n;
        const char *data = csv + at;
        while (rest > 0 && (step = csv_reader_read(&c, &data, &rest, &r, &why)) != RECORD_FAULT)
            if (step == RECORD_WHOLE) show(&r, &out);
        at += n;
        left -= n;
    }
    if (step != RECORD_FAULT && (step = csv_reader_end(&c, &r, &why)) == RECORD_WHOLE) show(&r, &out);
    bool open = c.state == CSV_QUOTED;
    if (step == RECORD_FAULT) buf_addf(&out, "line %d: %.20s", (int)(open ? c.quote_line : c.newlines + 1), why);
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    buf_release(&out);
    record_release(&r);
    return text;
}

static void assert_records(const char *csv, const char *wanted)
{
    for (size_t piece = 1; piece < 9; piece++) {
        const char *got = records_of(csv, ',', piece);
        cr_assert_str_eq(got, wanted, "%s in pieces of %zu: %s", csv, piece, got);
    }
    assert_no_leaks();
}

Test(csv_reader, values_stand_between_separators)
{
    assert_records("a,b\nc,d\n", "[a][b];[c][d];");
    assert_records("a,,\n,\n", "[a][][];[][];");
    assert_records(" a , b", "[ a ][ b];");
    assert_records("", "");
    cr_assert_str_eq(records_of("a;b,c\n", ';', 3), "[a][b,c];");
}

Test(csv_reader, quotes_protect_separators_newlines_and_quotes)
{
    assert_records("\"a,b\",\"c\nd\",\"e\"\"f\"\n", "[a,b][c\nd][e\"f];");
    assert_records("\"\"\"\",\"\"\n", "[\"][];");
    assert_records("\"a\r\nb\"\r\nc", "[a\r\nb];[c];");
}

Test(csv_reader, a_record_ends_with_lf_or_crlf_and_an_empty_line_is_none)
{
    assert_records("a\r\n\r\n\nb\r\n", "[a];[b];");
    assert_records("\"\"\n\"\"\r\n", "[];[];");
    assert_records("a\rb\r\n", "[a\rb];");
    assert_records("a,", "[a][];");
    assert_records("a\r", "[a];");
    assert_records("\"a\"\r", "[a];");
}

Test(csv_reader, faults_have_their_line)
{
    assert_records("a\nb\"c\n", "[a];line 2: a quote is only allo");
    assert_records("\"a\nb\"c\n", "line 2: after the closing qu");
    assert_records("\"a\"\rb\n", "line 1: after the closing qu");
    assert_records("a\n\n\"b\nc\n", "[a];line 3: the closing quote is");
}
