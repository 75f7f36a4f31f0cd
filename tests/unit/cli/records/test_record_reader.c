/* Records of lines, of texts that end with a NUL byte, and of CSV, from bytes that come in pieces. */
#include <criterion/criterion.h>

#include "cli/records/record_reader.h"
#include "unit/leaks.h"

static void show(const struct record_reader *r, struct buf *out)
{
    buf_addf(out, "%llu", (unsigned long long)r->number);
    for (size_t i = 0; i < r->record.count; i++) {
        struct json_slice value = record_value(&r->record, i);
        buf_addf(out, "[%.*s]", (int)value.len, value.data);
    }
    buf_add_char(out, ';');
}

/* Reads the bytes in pieces, and releases the reader. Returns the records with the numbers of their lines. */
static const char *records_of(struct record_reader r, const char *bytes, size_t len, size_t piece)
{
    static char text[1000];
    struct buf out = {0};
    enum record_step step = RECORD_MORE;
    for (size_t n; len > 0 && step != RECORD_FAULT; bytes += n, len -= n) {
        const char *data = bytes;
        size_t rest = n = len < piece ? len : piece;
        while (rest > 0 && (step = record_reader_read(&r, &data, &rest)) != RECORD_FAULT)
            if (step == RECORD_WHOLE) show(&r, &out);
    }
    if (step != RECORD_FAULT && (step = record_reader_end(&r)) == RECORD_WHOLE) show(&r, &out);
    if (step == RECORD_FAULT) buf_addf(&out, "%llu: %s", (unsigned long long)r.number, r.why);
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    buf_release(&out);
    record_reader_release(&r);
    return text;
}

static void assert_records(struct record_reader r, const char *bytes, size_t len, const char *wanted)
{
    for (size_t piece = 1; piece < 9; piece++) {
        const char *got = records_of(r, bytes, len, piece);
        cr_assert_str_eq(got, wanted, "in pieces of %zu: %s", piece, got);
    }
}

Test(record_reader, lines_are_records_of_one_value_or_of_columns)
{
    static const char lines[] = "a,b\r\n\nc,d";
    char err[100];
    struct separator comma;
    cr_assert(separator_init(&comma, ",", err, sizeof err));
    assert_records((struct record_reader){0}, lines, sizeof lines - 1, "1[a,b];2[];3[c,d];");
    assert_records((struct record_reader){.separator = &comma}, lines, sizeof lines - 1, "1[a][b];2[];3[c][d];");
    assert_records((struct record_reader){.skip_blank = true}, lines, sizeof lines - 1, "1[a,b];3[c,d];");
    separator_release(&comma);
    assert_no_leaks();
}

Test(record_reader, nulls_end_texts_with_newlines)
{
    assert_records((struct record_reader){.form = RECORD_NULLS}, "a\nb\0\0c", 6, "1[a\nb];2[];3[c];");
}

Test(record_reader, a_record_of_csv_has_the_number_of_its_first_line)
{
    const struct record_reader r = {.form = RECORD_CSV, .csv.separator = ','};
    assert_records(r, "a,\"b\nc\"\n\nd\n", 11, "1[a][b\nc];4[d];");
    assert_records(r, "a\n\n\"b\nc\n", 8, "1[a];3: the closing quote is missing");
    assert_no_leaks();
}

Test(record_reader, bytes_that_are_no_text_are_a_fault_unless_any_bytes_are_allowed)
{
    assert_records((struct record_reader){0}, "a\nb\xff\n", 5, "1[a];2: not valid UTF-8");
    assert_records((struct record_reader){0}, "a\nb\0\n", 5,
                   "1[a];2: has a NUL byte. If the items end with NUL bytes, give -0");
    assert_records((struct record_reader){.raw = true}, "b\xff\r\n", 4, "1[b\xff\r];");
    assert_no_leaks();
}

Test(record_reader, a_record_has_no_more_values_than_memory_is_meant_for)
{
    size_t len = RECORD_VALUES_MAX + 10;
    char *commas = malloc(len), err[100];
    struct separator comma;
    cr_assert(separator_init(&comma, ",", err, sizeof err));
    memset(commas, ',', len);
    commas[RECORD_VALUES_MAX - 1] = '\n';
    struct record_reader csv = {.form = RECORD_CSV, .csv.separator = ','}, lines = {.separator = &comma};
    const char *data = commas;
    size_t left = len;
    cr_assert_eq(record_reader_read(&csv, &data, &left), RECORD_WHOLE);
    cr_assert_eq(csv.record.count, RECORD_VALUES_MAX);
    memset(commas, ',', len);
    data = commas;
    left = len;
    cr_assert_eq(record_reader_read(&csv, &data, &left), RECORD_FAULT);
    cr_assert_str_eq(csv.why, "more than 1000000 values");
    cr_assert_eq(record_reader_cut(&lines, commas, len), RECORD_FAULT);
    cr_assert_str_eq(lines.why, "more than 1000000 values");
    free(commas);
    record_reader_release(&csv);
    record_reader_release(&lines);
    separator_release(&comma);
    assert_no_leaks();
}

Test(record_reader, the_text_of_a_value_is_a_record_even_if_it_is_blank)
{
    struct record_reader r = {.skip_blank = true};
    cr_assert_eq(record_reader_cut(&r, "a", 1), RECORD_WHOLE);
    cr_assert_eq(record_reader_cut(&r, "", 0), RECORD_WHOLE);
    cr_assert_eq(r.record.count, 1);
    cr_assert_eq(record_value(&r.record, 0).len, 0);
    record_reader_release(&r);
    assert_no_leaks();
}

Test(record_reader, the_text_of_a_value_is_one_record)
{
    struct record_reader r = {.form = RECORD_CSV, .csv.separator = ','};
    cr_assert_eq(record_reader_cut(&r, "a,\"b", 4), RECORD_FAULT);
    cr_assert_eq(record_reader_cut(&r, "a,\"b\"", 5), RECORD_WHOLE);
    cr_assert_eq(r.record.count, 2);
    cr_assert_eq(record_reader_cut(&r, "", 0), RECORD_WHOLE);
    cr_assert_eq(r.record.count, 1);
    cr_assert_eq(record_reader_cut(&r, "\na,b\r\n\n", 7), RECORD_WHOLE);
    cr_assert_eq(r.record.count, 2);
    cr_assert_eq(record_reader_cut(&r, "a\n\nb", 4), RECORD_FAULT);
    cr_assert_str_eq(r.why, "more than one record of CSV");
    record_reader_release(&r);
    assert_no_leaks();
}
