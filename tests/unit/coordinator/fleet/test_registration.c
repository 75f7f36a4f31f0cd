#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fleet/registration.h"
#include "unit/leaks.h"

static struct registration r;
static char err[300];

static bool take(const char *body, const char *peer)
{
    err[0] = '\0';
    return registration_read(&r, body, strlen(body), peer, err, sizeof err);
}

Test(registration, the_peers_address_is_used_unless_the_body_has_one)
{
    cr_assert(take("{\"worker\":\"w\",\"port\":8081,\"version\":\"1\",\"tasks\":\"\\\"00ff\\\"\"}", "10.0.0.7"), "%s",
              err);
    cr_assert_str_eq(r.address, "10.0.0.7:8081");
    cr_assert_str_eq(r.tasks, "\"00ff\"");
    cr_assert_not(r.leaving);
    cr_assert(
        take("{\"worker\":\"w\",\"port\":1,\"address\":\"10.0.0.8\",\"leaving\":true,\"later\":[1]}", "10.0.0.7"));
    cr_assert_str_eq(r.address, "10.0.0.8:1");
    cr_assert(r.leaving);
    cr_assert(take("{\"worker\":\"w\",\"port\":1e0,\"leaving\":false}", "fd00::7"));
    cr_assert_not(r.leaving);
    cr_assert_str_eq(r.address, "[fd00::7]:1");
    cr_assert(take("{\"worker\":\"w\",\"port\":1,\"address\":\"fd00:0:0::0007\"}", "10.0.0.7"));
    cr_assert_str_eq(r.address, "[fd00::7]:1");
    cr_assert(take("{\"worker\":\"w\",\"port\":1,\"address\":\"127.0.0.1\"}", NULL),
              "a peer at a socket file is on this machine");
    cr_assert_str_eq(r.address, "127.0.0.1:1");
}

Test(registration, addresses_that_the_coordinator_must_not_call_are_refused)
{
    static const char *const bad[] = {"0.0.0.0",
                                      "0.1.2.3",
                                      "127.0.0.1",
                                      "127.9.9.9",
                                      "169.254.169.254",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "240.0.0.1",
                                      "::",
                                      "::1",
                                      "fe80::1",
                                      "ff02::1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:169.254.169.254",
                                      "64:ff9b::a9fe:a9fe",
                                      "64:ff9b::7f00:1",
                                      "2002:a9fe:a9fe::1",
                                      "::127.0.0.1",
                                      "localhost",
                                      "metadata.internal",
                                      "10.0.0.7:80",
                                      "10.0.0",
                                      "0x7f.1",
                                      "2130706433",
                                      "fe80::1%eth0",
                                      "010.0.0.1 ",
                                      "[fd00::7]"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"worker\":\"w\",\"port\":80,\"address\":\"%s\"}", bad[i]);
        cr_assert_not(take(body, "10.0.0.7"), "%s became %s", bad[i], r.address);
        cr_assert_not_null(strstr(err, bad[i]), "%s: %s", bad[i], err);
    }
    cr_assert_not(take("{\"worker\":\"w\",\"port\":80}", "fe80::1"));
    cr_assert(take("{\"worker\":\"w\",\"port\":80}", "127.0.0.1"));
    cr_assert(take("{\"worker\":\"w\",\"port\":80,\"address\":\"::1\"}", "127.0.0.1"));
}

Test(registration, what_is_not_a_registration_is_refused)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "[1]",
        "{}",
        "{\"worker\":\"w\"}",
        "{\"port\":1}",
        "{\"worker\":\"\",\"port\":1}",
        "{\"worker\":1,\"port\":1}",
        "{\"worker\":\"w\",\"port\":0}",
        "{\"worker\":\"w\",\"port\":65536}",
        "{\"worker\":\"w\",\"port\":99999999999}",
        "{\"worker\":\"w\",\"port\":-1}",
        "{\"worker\":\"w\",\"port\":1.5}",
        "{\"worker\":\"w\",\"port\":1,\"leaving\":1}",
        "{\"worker\":\"w\",\"port\":1,\"leaving\":null}",
        "{\"worker\":\"w\",\"port\":\"1\"}",
        "{\"worker\":\"w\",\"port\":1,\"port\":2}",
        "{\"worker\":\"w\\u0000x\",\"port\":1}",
        "{\"worker\":\"w\\n\",\"port\":1}",
        "{\"worker\":\"w\",\"port\":1,\"address\":null}",
        "{\"worker\":\"w\",\"port\":1,\"tasks\":{}}",
        "{\"worker\":\"w\",\"port\":1}x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_assert_not(take(bad[i], "10.0.0.7"), "%s", bad[i]);
        cr_assert_str_not_empty(err);
    }
    char name[LEASE_WORKER_MAX + 1] = {0}, body[400];
    memset(name, 'x', LEASE_WORKER_MAX);
    snprintf(body, sizeof body, "{\"port\":1,\"worker\":\"%s\"}", name + 1);
    cr_assert(take(body, "10.0.0.7"), "%s", err);
    snprintf(body, sizeof body, "{\"port\":1,\"worker\":\"%s\"}", name);
    cr_assert_not(take(body, "10.0.0.7"));
    assert_no_leaks();
}
