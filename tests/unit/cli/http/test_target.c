/* Targets: the parts of URLs. */
#include <criterion/criterion.h>

#include "cli/http/target.h"

static void assert_target(const char *url, const char *host, const char *port, const char *authority,
                          const char *prefix)
{
    struct target t;
    char err[256] = "";
    cr_assert(target_init(&t, &(struct target_config){.url = url}, err, sizeof err), "%s: %s", url, err);
    if (host) cr_assert_str_eq(t.host, host, "%s", url);
    if (port) cr_assert_str_eq(t.port, port, "%s", url);
    cr_assert_str_eq(t.authority, authority, "%s", url);
    cr_assert_str_eq(t.prefix, prefix, "%s", url);
    target_release(&t);
}

Test(target, a_url_is_host_port_and_prefix)
{
    assert_target("http://127.0.0.1:8080", "127.0.0.1", "8080", "127.0.0.1:8080", "");
    assert_target("http://127.0.0.1/base/v2/", "127.0.0.1", "80", "127.0.0.1", "/base/v2");
    assert_target("http://[::1]:99/", "::1", "99", "[::1]:99", "");
    assert_target("http://[::1]", "::1", "80", "[::1]", "");
    assert_target("https://fantail.example", "fantail.example", "443", "fantail.example", "");
    assert_target("unix:/run/fantail", NULL, NULL, "localhost", "");
}

Test(target, what_is_not_a_url_is_refused_with_a_reason)
{
    static const char *const urls[] = {
        "",           "localhost:8080",  "ftp://127.0.0.1",     "http://",          "http://:80",
        "http://[::", "http://[::1]x",   "http://127.0.0.1:",   "http://a:70000",   "http://a:8x",
        "http://a?b", "http://a/b#frag", "http://user@a.local", "http://a/ b\r\nc", "unix:"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct target t;
        char err[256] = "";
        cr_assert_not(target_init(&t, &(struct target_config){.url = urls[i]}, err, sizeof err), "%s", urls[i]);
        cr_assert(err[0] != '\0', "%s", urls[i]);
        target_release(&t);
    }
}

Test(target, a_path_that_is_too_long_for_a_socket_is_told)
{
    struct target t;
    char err[256] = "", url[200];
    snprintf(url, sizeof url, "unix:/%0150d", 0);
    cr_assert_not(target_init(&t, &(struct target_config){.url = url}, err, sizeof err));
    cr_assert(strstr(err, "must have at most 107 bytes"), "%s", err);
    target_release(&t);
}
