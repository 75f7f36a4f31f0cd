/* The tests of test_kept.c, with calls that curl makes instead of our code. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_kept.c" /* NOLINT(bugprone-suspicious-include) */
