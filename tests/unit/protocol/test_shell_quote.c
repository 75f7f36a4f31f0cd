/* The quoting of words for a shell, and tags before lines. */
#include <criterion/criterion.h>
#include <sys/resource.h>

#include "protocol/shell_quote.h"
#include "hosts/runs/tag_lines.h"

Test(shell_quote, a_word_is_quoted_as_gnu_parallel_does)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"", "''"},         {"a-b_c.d/e+1", "a-b_c.d/e+1"}, {"a b", "'a b'"},
        {"'", "\"'\""},     {"it's", "'it'\"'\"'s'"},       {"''x", "\"'\"\"'\"'x'"},
        {"a\nb", "'a\nb'"}, {"$HOME", "'$HOME'"},           {"~", "'~'"},
        {"a=b", "'a=b'"},   {"\xc3\xa4", "'\xc3\xa4'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf out = {0};
        shell_quote_add(&out, cases[i].text, strlen(cases[i].text));
        cr_assert_str_eq(buf_cstr(&out), cases[i].quoted, "%s", cases[i].text);
        buf_release(&out);
    }
}

static void assert_tagged(const char *text, const char *wanted)
{
    struct buf b = {0};
    buf_add_str(&b, text);
    cr_assert(tag_lines(&b, "t", 1));
    cr_assert_str_eq(buf_cstr(&b), wanted);
    buf_release(&b);
}

Test(tag_lines, each_line_gets_the_tag)
{
    assert_tagged("", "");
    assert_tagged("a\n", "t\ta\n");
    assert_tagged("a\n\nb", "t\ta\nt\t\nt\tb");
}

Test(tag_lines, a_text_that_becomes_too_long_is_refused)
{
    struct buf b;
    buf_init(&b, 8);
    cr_assert(buf_add(&b, "1\n2\n", 4));
    cr_assert_not(tag_lines(&b, "long", 4));
    cr_assert_eq(b.len, 0);
    buf_release(&b);
}

static long peak_kib(void)
{
    struct rusage used;
    cr_assert_eq(getrusage(RUSAGE_SELF, &used), 0);
    return used.ru_maxrss;
}

Test(tag_lines, a_refused_text_takes_no_more_memory_than_its_cap)
{
    enum { TAG_BYTES = 1 << 20, LINES = 128 };
    struct buf b;
    char *tag = xcalloc(1, TAG_BYTES);
    memset(tag, 't', TAG_BYTES);
    buf_init(&b, 2 * TAG_BYTES);
    for (int i = 0; i < LINES; i++) cr_assert(buf_add_char(&b, '\n'));
    long before = peak_kib();
    cr_assert_not(tag_lines(&b, tag, TAG_BYTES));
    cr_assert_lt(peak_kib() - before, 32 * 1024);
    buf_release(&b);
    free(tag);
}
