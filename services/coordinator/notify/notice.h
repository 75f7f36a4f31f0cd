/*
 * Writes the text of a notice, which reports that a durable job has ended. The format is that of Standard Webhooks
 * (https://www.standardwebhooks.com). Pure.
 */
#ifndef FANTAIL_COORDINATOR_NOTIFY_NOTICE_H
#define FANTAIL_COORDINATOR_NOTIFY_NOTICE_H

#include "coordinator/store/store.h"

/* Appends {"type":"job.ended","timestamp":...,"data":{"id":...,"status":...,"counts":{...}}}. The text is the same at
 * each attempt. */
void notice_write(struct buf *out, const struct stored_notice *n);

#endif
