/* Queries of paths. */
#include <criterion/criterion.h>

#include "cli/http/query.h"

Test(query, names_are_joined_and_values_are_encoded)
{
    struct buf path = {0};
    buf_add_str(&path, "/v1/jobs");
    query_add(&path, "status", "failed,partial");
    query_add(&path, "label", "a&b=c d/\"\xc3\xa4%");
    query_add_number(&path, "from", UINT64_MAX);
    query_add(&path, "cursor", "");
    cr_assert_str_eq(buf_cstr(&path), "/v1/jobs?status=failed,partial&label=a%26b%3Dc%20d%2F%22%C3%A4%25"
                                      "&from=18446744073709551615&cursor=");
    buf_release(&path);
}
