/* Calls without an answer, as in test_lost_calls.c, made by curl instead of by us. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_lost_calls.c" /* NOLINT(bugprone-suspicious-include) */
