/*
 * Reads a whole file that an operator or a task names, such as task.json, a token file or a certificate. The read never
 * blocks, because a FIFO or a device is rejected. If the file is larger than the cap, the read fails, and the bytes
 * beyond the cap are not read.
 */
#ifndef FANTAIL_COMMON_FILES_REGULAR_FILE_H
#define FANTAIL_COMMON_FILES_REGULAR_FILE_H

#include "common/base/buf.h"

/* Appends the content of the file to `text`, and then a NUL that is not counted in text->len. `text` must have a cap.
 * Returns false, with the reason in `why`, if the path cannot be opened, is not a regular file, or has more bytes than
 * the cap allows. After a failure, `text` may hold a part of the file. */
MUST_CHECK bool regular_file_read(const char *path, struct buf *text, char *why, size_t why_size);

#endif
