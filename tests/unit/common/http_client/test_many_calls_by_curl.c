/* Long answers and many calls at once, as in test_many_calls.c, made by curl instead of by us. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_many_calls.c" /* NOLINT(bugprone-suspicious-include) */
