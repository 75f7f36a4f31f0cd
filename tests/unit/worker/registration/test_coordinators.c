#include <criterion/criterion.h>

#include "worker/registration/coordinators.h"

Test(coordinators, the_forms_of_the_register_option)
{
    static const char *const good[] = {"http://a:1",
                                       "https://a:1,http://[::1]:8080",
                                       "dns://coordinators:8080",
                                       "dns+https://coordinators:8080",
                                       "balancer://coordinator:8080",
                                       "balancer+https://coordinator:8080,dns+https://coordinators:8080"};
    static const char *const bad[] = {
        "", "a:1", "http://a", "http://a:1,", "http://a:0", "http://a:1/x", "balancer://a", "balancer://", "ftp://a:1"};
    char err[300];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        cr_assert(coordinators_check(good[i], err, sizeof err), "%s: %s", good[i], err);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        err[0] = '\0';
        cr_assert_not(coordinators_check(bad[i], err, sizeof err), "%s", bad[i]);
        cr_assert_str_not_empty(err);
    }
}

Test(coordinators, tls_is_used_if_one_url_uses_it)
{
    cr_assert_not(coordinators_use_tls("http://a:1,dns://a:1,balancer://a:1"));
    cr_assert(coordinators_use_tls("http://a:1,https://a:1"));
    cr_assert(coordinators_use_tls("http://a:1,balancer+https://a:1"));
}

/* The addresses in the answer of a coordinator must be numeric, so that the answer cannot make a worker look up names.
 */
Test(coordinators, only_a_numeric_address_with_a_port_is_an_address)
{
    static const char *const good[] = {"10.0.0.7:8080", "127.0.0.1:1", "[::1]:8080", "[fd00::7]:65535"};
    static const char *const bad[] = {"",
                                      "10.0.0.7",
                                      "10.0.0.7:",
                                      "10.0.0.7:0",
                                      "10.0.0.7:65536",
                                      "name:8080",
                                      "10.0.0:8080",
                                      "::1:8080",
                                      "[::1]",
                                      "[10.0.0.7]:80",
                                      "[name]:80",
                                      "10.0.0.7:80,x",
                                      "10.0.0.7:8080 ",
                                      "10.0.0.7:8080/x",
                                      "[:80",
                                      "[fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) cr_assert(coordinators_is_address(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) cr_assert_not(coordinators_is_address(bad[i]), "%s", bad[i]);
}
