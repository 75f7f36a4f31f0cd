/*
 * The text of a notice of the end of a durable job, as Standard Webhooks describes it
 * (https://www.standardwebhooks.com). Pure.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTICE_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTICE_H

#include "coordinator/store/store.h"

/* Appends {"type":"job.ended","timestamp":...,"data":{"id":...,"status":...,"counts":{...}}}. The text is the same at
 * each attempt. */
void notice_write(struct buf *out, const struct stored_notice *n);

#endif
