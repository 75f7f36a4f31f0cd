/* Answers the item itself. */
#include "fantail_task.h"

int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    return fantail_reply_value(reply, item->json, item->len);
}
