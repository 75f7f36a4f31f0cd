/* Connections that are kept for the next call, as in test_kept.c, made by curl instead of by us. */
#define URL_USER "by-curl@"
#include "unit/common/http_client/test_kept.c" /* NOLINT(bugprone-suspicious-include) */
