/* Reads tokens from a file, and compares Authorization headers with them. */
#include "common/service/token_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/net/loopback.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/service/access.h"
#include "unit/leaks.h"

#define ONE "one-token-0123456789"
#define TWO "TWO.token~0123456789+/=="

static struct tokens set;
static char err[512];

static bool parse(const char *text)
{
    err[0] = '\0';
    return tokens_parse(&set, text, strlen(text), err, sizeof err);
}

static bool has(const char *token)
{
    return tokens_has(&set, token, strlen(token));
}

static void tear_down(void)
{
    tokens_release(&set);
    assert_no_leaks();
}

TestSuite(tokens, .fini = tear_down);

Test(tokens, lines_are_tokens_and_blank_lines_and_comments_are_not)
{
    cr_assert(parse("# rotated\n\n  " ONE " \r\n\t\n#" TWO "x\n" TWO));
    cr_assert_eq(set.count, 2);
    cr_assert(has(ONE) && has(TWO));
    cr_assert_str_eq(tokens_first(&set), ONE);
}

Test(tokens, only_the_very_token_is_known)
{
    cr_assert(parse(ONE "\n" TWO "\n"));
    static const char *const others[] = {
        "",      "o",          "one-token-012345678", ONE "0", ONE "=", "One-token-0123456789", "0ne-token-0123456789",
        ONE ONE, ONE "\n" TWO, "0123456789012345",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) cr_assert(!has(others[i]), "%s", others[i]);
    cr_assert(!tokens_has(&set, ONE "\0", sizeof ONE), "padding is not part of a token");
}

Test(tokens, the_longest_fits_and_is_compared_to_its_end)
{
    char text[LIMIT_TOKEN_BYTES + 2];
    memset(text, 'a', sizeof text);
    text[LIMIT_TOKEN_BYTES] = '\0';
    cr_assert(parse(text));
    cr_assert(has(text));
    text[LIMIT_TOKEN_BYTES - 1] = 'b';
    cr_assert(!has(text));
    memset(text, 'a', sizeof text);
    cr_assert(!tokens_has(&set, text, LIMIT_TOKEN_BYTES + 1));
    tokens_release(&set);
    text[LIMIT_TOKEN_BYTES + 1] = '\0';
    cr_assert(!parse(text));
    cr_assert(strstr(err, "too long"), "%s", err);
}

Test(tokens, what_is_no_token_is_told_with_its_line_and_never_quoted)
{
    static const struct {
        const char *text, *says;
    } faults[] = {
        {"", "no token"},
        {"\n# " ONE "\n \n", "no token"},
        {ONE "\nsecret-too-short\nsecret\n", "line 3: the token is too short"},
        {"secret-0123456789 # comment\n", "line 1: the token has a character"},
        {"\nsecret-0123456789\x01\n", "line 2: the token has a character"},
        {"secret-0123=456789\n", "line 1: the token has a character"},
        {"secret-0123456789\xc3\xa9\n", "line 1: the token has a character"},
        {"================\n", "line 1: the token has a character"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        cr_assert(!parse(faults[i].text), "%s", faults[i].text);
        cr_assert(strstr(err, faults[i].says), "%s", err);
        cr_assert(!strstr(err, "secret"), "%s", err);
        cr_assert_eq(set.count, 0);
        cr_assert_null(tokens_first(&set));
    }
    cr_assert(!tokens_parse(&set, "0123456789\0abcdefgh", 19, err, sizeof err), "a token has no NUL");
}

Test(tokens, there_may_be_many_and_not_endlessly_many)
{
    struct buf text = {0};
    for (int i = 0; i < LIMIT_TOKENS; i++) buf_addf(&text, "token-0123456789-%d\n", i);
    cr_assert(tokens_parse(&set, text.data, text.len, err, sizeof err));
    cr_assert(has("token-0123456789-0") && has("token-0123456789-63") && !has("token-0123456789-64"));
    tokens_release(&set);
    buf_add_str(&text, "token-0123456789-64\n");
    cr_assert(!tokens_parse(&set, text.data, text.len, err, sizeof err));
    cr_assert(strstr(err, "line 65: there are too many"), "%s", err);
    buf_release(&text);
}

/* Files. */

static char path[] = "/tmp/fantail-tokens-XXXXXX";

static void put(const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void make_file(void)
{
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

static void drop_file(void)
{
    unlink(path);
    tear_down();
}

TestSuite(token_file, .init = make_file, .fini = drop_file);

Test(token_file, a_file_that_cannot_be_used_is_told_with_its_path)
{
    cr_assert(!tokens_read(&set, "/nowhere/at/all", err, sizeof err));
    cr_assert(strstr(err, "/nowhere/at/all: No such file"), "%s", err);
    cr_assert(!tokens_read(&set, "/tmp", err, sizeof err) && strstr(err, "/tmp: "), "%s", err);
    cr_assert(!tokens_read(&set, path, err, sizeof err) && strstr(err, "no token"), "%s", err);
    cr_assert(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    cr_assert(!tokens_read(&set, path, err, sizeof err) && strstr(err, "not a regular file"), "%s", err);
}

Test(token_file, a_file_that_is_too_long_is_refused)
{
    FILE *file = fopen(path, "we");
    for (unsigned i = 0; i <= LIMIT_TOKEN_FILE_BYTES; i++) putc(i % 64 == 63 ? '\n' : '#', file);
    cr_assert(fclose(file) == 0);
    cr_assert(!tokens_read(&set, path, err, sizeof err) && strstr(err, "longer than"), "%s", err);
}

static bool file_has(const struct token_file *f, const char *token)
{
    return tokens_has(&f->tokens, token, strlen(token));
}

static void count_change(void *count)
{
    ++*(unsigned *)count;
}

static void on_other(uv_timer_t *timer)
{
}

/* Writes the content, and returns whether the reload accepted it. */
static bool reload(struct token_file *f, const char *text)
{
    uint64_t before = *f->reloads[1];
    put(text);
    token_file_reload(f);
    return *f->reloads[1] > before;
}

Test(token_file, reading_again_takes_new_tokens_and_keeps_the_old_ones_when_it_fails)
{
    struct token_file f;
    log_set_level(LOG_LEVEL_ERROR);
    put(ONE "\n");
    cr_assert(token_file_open(&f, "token-file", path, err, sizeof err) && file_has(&f, ONE));
    cr_assert(reload(&f, ONE "\n" TWO "\n") && file_has(&f, ONE) && file_has(&f, TWO));
    cr_assert(!reload(&f, "# nothing\n") && file_has(&f, ONE) && file_has(&f, TWO));
    cr_assert(!reload(&f, "bad token\n") && file_has(&f, ONE) && file_has(&f, TWO));
    unlink(path);
    token_file_reload(&f);
    cr_assert(file_has(&f, ONE) && file_has(&f, TWO));
    cr_assert(reload(&f, TWO "\n") && !file_has(&f, ONE) && file_has(&f, TWO));
    token_file_release(&f);
    metrics_release();
}

Test(token_file, a_file_that_has_changed_is_read_again_when_it_is_watched_or_asked_for)
{
    struct token_file f;
    uv_loop_t loop;
    uv_timer_t other; /* keeps the loop alive, because the watch of the file does not */
    unsigned changes = 0;
    log_set_level(LOG_LEVEL_ERROR);
    put(ONE "\n");
    cr_assert(token_file_open(&f, "token-file", path, err, sizeof err));
    cr_assert(uv_loop_init(&loop) == 0);
    uv_timer_init(&loop, &other);
    uv_timer_start(&other, on_other, 100, 100);
    token_file_watch(&f, &loop, count_change, &changes);
    token_file_refresh(&f);
    cr_assert(changes == 0, "the file has not changed");
    put(ONE "\n" TWO "\n");
    token_file_refresh(&f);
    cr_assert(changes == 1 && file_has(&f, TWO));
    put(TWO "\n");
    while (changes < 2) uv_run(&loop, UV_RUN_ONCE);
    cr_assert(!file_has(&f, ONE) && file_has(&f, TWO));
    token_file_stop(&f);
    uv_close((uv_handle_t *)&other, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert(uv_loop_close(&loop) == 0);
    token_file_release(&f);
    metrics_release();
}

/* The header. */

Test(tokens, an_authorization_header_is_checked)
{
    static const struct {
        const char *header;
        enum access_verdict verdict;
    } cases[] = {
        {NULL, ACCESS_MISSING},
        {"Bearer " ONE, ACCESS_GRANTED},
        {"bearer  " ONE, ACCESS_GRANTED},
        {"BEARER " TWO, ACCESS_GRANTED},
        {"Bearer " ONE "x", ACCESS_UNKNOWN},
        {"Bearer x", ACCESS_UNKNOWN},
        {"", ACCESS_MALFORMED},
        {"Bearer", ACCESS_MALFORMED},
        {"Bearer ", ACCESS_MALFORMED},
        {"Bearer " ONE " " TWO, ACCESS_MALFORMED},
        {"Bearer " ONE ", Bearer x", ACCESS_MALFORMED},
        {"Basic " ONE, ACCESS_MALFORMED},
        {"Bearer" ONE, ACCESS_MALFORMED},
        {ONE, ACCESS_MALFORMED},
    };
    cr_assert(parse(ONE "\n" TWO "\n"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(access_classify(&set, cases[i].header), cases[i].verdict, "%s", cases[i].header);
}

Test(tokens, loopback_is_told_from_the_rest_of_the_world)
{
    static const char *const near[] = {"127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"};
    static const char *const far[] = {"0.0.0.0",         "::",      "10.0.0.1",  "128.0.0.1",
                                      "::ffff:10.0.0.1", "fe80::1", "localhost", ""};
    cr_assert(is_loopback(NULL));
    for (size_t i = 0; i < ARRAY_SIZE(near); i++) cr_assert(is_loopback(near[i]), "%s", near[i]);
    for (size_t i = 0; i < ARRAY_SIZE(far); i++) cr_assert(!is_loopback(far[i]), "%s", far[i]);
}

/* printf %s 0123456789abcdef | sha256sum */
Test(tokens, a_fingerprint_is_the_start_of_the_hash_that_sha256sum_prints)
{
    char fingerprint[TOKEN_FINGERPRINT_SIZE];
    token_fingerprint("0123456789abcdef", fingerprint);
    cr_assert_str_eq(fingerprint, "9f9f5111");
    token_fingerprint(NULL, fingerprint);
    cr_assert_str_eq(fingerprint, "");
}
