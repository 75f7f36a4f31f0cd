#include "coordinator/notify/notify_hosts.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

static bool allows(const char *list, const char *url)
{
    struct notify_hosts h;
    struct notify_target t;
    char err[200];
    cr_assert(notify_hosts_parse(&h, list, err, sizeof err), "%s", err);
    bool ok = notify_target_parse(&t, url, err, sizeof err) && notify_hosts_allow(&h, &t);
    notify_hosts_release(&h);
    assert_no_leaks();
    return ok;
}

Test(notify_hosts, a_host_is_allowed_with_its_scheme_and_port)
{
    cr_assert(allows("a.example", "https://a.example/hook?x=1"));
    cr_assert(allows("a.example", "https://A.Example:443"));
    cr_assert(allows("b.example,a.example:8443", "https://a.example:8443/hook"));
    cr_assert(allows("http://10.0.0.7:8080", "http://10.0.0.7:8080/"));
    cr_assert(allows("http://a.example", "http://a.example/"));
    cr_assert(allows("[::1]:8443", "https://[::1]:8443/"));
    cr_assert_not(allows("a.example", "https://a.example:8443/"));
    cr_assert_not(allows("a.example:8443", "https://a.example/"));
    cr_assert_not(allows("a.example", "http://a.example/"));
    cr_assert_not(allows("a.example", "https://b.a.example/"));
    cr_assert_not(allows("a.example", "https://a.example.evil/"));
    cr_assert_not(allows("a.example", "https://127.0.0.1/"));
    cr_assert_not(allows(NULL, "https://a.example/"));
}

Test(notify_hosts, a_url_that_programs_read_in_two_ways_is_none)
{
    static const char *const wrong[] = {"https://a.example@evil/",
                                        "https://evil\\@a.example/",
                                        "https://a.example#@evil/",
                                        "https://a.example:/",
                                        "https://a.example:0/",
                                        "https://a.example:65536/",
                                        "https://a.example:8 /",
                                        "https:///",
                                        "https://",
                                        "a.example/hook",
                                        "ftp://a.example/",
                                        "HTTPS://a.example/",
                                        "https://[::1/",
                                        "https://a%2eexample/",
                                        "https:/a.example/",
                                        "https://a.example/#x"};
    struct notify_target t;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        cr_assert_not(notify_target_parse(&t, wrong[i], err, sizeof err), "%s", wrong[i]);
}

Test(notify_hosts, a_wrong_list_is_refused)
{
    static const char *const wrong[] = {"a.example/x",          "*",           "*.example", ",",
                                        "a.example,,b.example", "a.example:x", "a b"};
    struct notify_hosts h;
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        cr_assert_not(notify_hosts_parse(&h, wrong[i], err, sizeof err), "%s", wrong[i]);
    }
    assert_no_leaks();
}
