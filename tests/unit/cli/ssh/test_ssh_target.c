/* The list of hosts, as a user writes it. */
#include <criterion/criterion.h>

#include "cli/ssh/ssh_target.h"

static void reads_as(const char *text, const char *host, const char *port)
{
    struct ssh_targets t;
    char err[256];
    cr_assert(ssh_targets_read(&t, text, err, sizeof err), "%s: %s", text, err);
    cr_assert_eq(t.count, 1);
    cr_assert_str_eq(t.list[0].name, text);
    cr_assert_str_eq(t.list[0].host, host);
    cr_assert_eq(!port, !t.list[0].port);
    if (port) cr_assert_str_eq(t.list[0].port, port);
    ssh_targets_release(&t);
}

Test(ssh_target, a_host_may_have_a_user_and_a_port)
{
    reads_as("node1", "node1", NULL);
    reads_as("ann@node1", "ann@node1", NULL);
    reads_as("node1:2222", "node1", "2222");
    reads_as("ann@node1.example:22", "ann@node1.example", "22");
    reads_as("a@b@node1", "a@b@node1", NULL);
}

Test(ssh_target, an_address_of_ipv6_with_a_port_is_in_brackets)
{
    reads_as("::1", "::1", NULL);
    reads_as("ann@fe80::1", "ann@fe80::1", NULL);
    reads_as("[::1]", "::1", NULL);
    reads_as("ann@[fe80::1]:2222", "ann@fe80::1", "2222");
}

Test(ssh_target, a_list_keeps_its_order)
{
    struct ssh_targets t;
    char err[256];
    cr_assert(ssh_targets_read(&t, "b,a:1,c@d", err, sizeof err));
    cr_assert_eq(t.count, 3);
    cr_assert_str_eq(t.list[1].name, "a:1");
    cr_assert_str_eq(t.list[2].host, "c@d");
    ssh_targets_release(&t);
}

Test(ssh_target, what_is_no_host_is_refused_with_its_name)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "'' is not a host, as in user@host:22"},
        {"a,", "'' is not a host, as in user@host:22"},
        {"a,,b", "'' is not a host, as in user@host:22"},
        {"a,-oProxyCommand=x", "'-oProxyCommand=x' is not a host, because it begins with -"},
        {"u@-x", "'u@-x' is not a host, as in user@host:22"},
        {"@a", "'@a' is not a host, as in user@host:22"},
        {"u@", "'u@' is not a host, as in user@host:22"},
        {":22", "':22' is not a host, as in user@host:22"},
        {"[::1", "'[::1' is not a host, as in user@host:22"},
        {"[]:1", "'[]:1' is not a host, as in user@host:22"},
        {"a b", "'a b' is not a host: use printable ASCII characters without blanks"},
        {"a:0", "'a:0' has a port that is not a number from 1 to 65535"},
        {"a:", "'a:' has a port that is not a number from 1 to 65535"},
        {"a:65536", "'a:65536' has a port that is not a number from 1 to 65535"},
        {"a:2x", "'a:2x' has a port that is not a number from 1 to 65535"},
        {"a,b,a", "'a' is in the list twice; --processes sets how many items run there"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ssh_targets t;
        char err[256];
        cr_assert_not(ssh_targets_read(&t, cases[i].text, err, sizeof err), "%s", cases[i].text);
        cr_assert_str_eq(err, cases[i].error);
        ssh_targets_release(&t);
    }
}

Test(ssh_target, a_list_has_a_limit)
{
    char text[SSH_MAX_HOSTS * 8 + 16] = "", err[256];
    struct ssh_targets t;
    size_t len = 0;
    for (int i = 0; i <= SSH_MAX_HOSTS; i++) len += (size_t)snprintf(text + len, sizeof text - len, ",n%d", i);
    cr_assert_not(ssh_targets_read(&t, text + 1, err, sizeof err));
    cr_assert_str_eq(err, "'n256' is one host too many: at most 256 are possible");
    ssh_targets_release(&t);
    *strrchr(text, ',') = '\0';
    cr_assert(ssh_targets_read(&t, text + 1, err, sizeof err));
    cr_assert_eq(t.count, SSH_MAX_HOSTS);
    ssh_targets_release(&t);
}
