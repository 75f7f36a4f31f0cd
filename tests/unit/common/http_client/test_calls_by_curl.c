/* Calls from their start to their end, as in test_calls.c, made by curl instead of by us. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_calls.c" /* NOLINT(bugprone-suspicious-include) */
