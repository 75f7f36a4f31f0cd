/* Sleeps for the number of seconds in the item. The answer is the item. */
#include <errno.h>
#include <time.h>

#include "fantail_task.h"

int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    double seconds;
    if (!fantail_get_number(item, &seconds) || seconds < 0 || seconds > 1e6)
        return fantail_reply_error(reply, "seconds from 0 to 1000000 were expected");
    struct timespec left;
    left.tv_sec = (time_t)seconds;
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
    return fantail_reply_value(reply, item->json, item->len);
}
