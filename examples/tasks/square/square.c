/* Computes the square of an integer. */
#include "fantail_task.h"

int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    int64_t n, square;
    if (!fantail_get_integer(item, &n)) return fantail_reply_error(reply, "an integer was expected");
    if (__builtin_mul_overflow(n, n, &square)) return fantail_reply_error(reply, "the square is too large");
    return fantail_reply_integer(reply, square);
}
