#include "coordinator/notify/notice_keys.h"

#include <criterion/criterion.h>

#include "unit/leaks.h"

static bool read_keys(struct notice_keys *k, const char *text)
{
    struct tokens tokens;
    char err[400];
    cr_assert(tokens_parse(&tokens, text, strlen(text), err, sizeof err), "%s", err);
    bool ok = notice_keys_read(k, &tokens, err, sizeof err);
    tokens_release(&tokens);
    return ok;
}

/* The first secret and its signature are an example from the tests of the libraries of Standard Webhooks. */
Test(notice_keys, a_notice_is_signed_with_each_secret)
{
    struct notice_keys k;
    struct buf body = {0}, out = {0};
    cr_assert(read_keys(&k, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
                            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"));
    cr_assert_eq(k.count, 3);
    buf_add_str(&body, "{\"test\": 2432232314}");
    notice_keys_sign(&k, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, &body, &out);
    static const char wanted[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
                                 "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,";
    cr_assert_eq(strncmp(buf_cstr(&out), wanted, sizeof wanted - 1), 0, "%s", out.data);
    cr_assert_eq(out.len, sizeof wanted - 1 + 44);
    notice_keys_clear(&k);
    buf_release(&body);
    buf_release(&out);
    assert_no_leaks();
}

Test(notice_keys, what_is_no_secret_is_refused)
{
    static const char *const wrong[] = {
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=", /* 23 bytes */
        "not-base64-but-long-enough",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjA=", /* 65 */
    };
    struct notice_keys k;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) cr_assert_not(read_keys(&k, wrong[i]), "%s", wrong[i]);
    struct buf many = {0};
    for (unsigned i = 0; i <= NOTICE_KEYS_MAX; i++) buf_add_str(&many, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    cr_assert_not(read_keys(&k, buf_cstr(&many)));
    buf_release(&many);
    assert_no_leaks();
}
