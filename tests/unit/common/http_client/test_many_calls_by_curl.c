/* The tests of test_many_calls.c, with calls that curl makes instead of our code. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_many_calls.c" /* NOLINT(bugprone-suspicious-include) */
