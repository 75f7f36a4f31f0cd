/* The tests of test_lost_calls.c, with calls that curl makes instead of our code. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_lost_calls.c" /* NOLINT(bugprone-suspicious-include) */
