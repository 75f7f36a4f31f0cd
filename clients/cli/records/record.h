/* A record: the values of one line of the input, or of several lines of CSV. Pure. */
#ifndef FANTAIL_CLI_RECORDS_RECORD_H
#define FANTAIL_CLI_RECORDS_RECORD_H

#include "common/base/buf.h"
#include "common/json/json_walk.h"

#define RECORD_VALUES_MAX 1000000 /* readers stop soon after a record has more values than this */

struct record_value {
    size_t offset, len; /* in `text` of the record */
};

/* A zeroed struct is a record without values. */
struct input_record {
    struct buf text;
    struct record_value *values;
    size_t count, alloc;
};

void record_release(struct input_record *r);
void record_clear(struct input_record *r);
/* Adds a value. */
void record_add(struct input_record *r, const char *data, size_t len);
/* Appends bytes to the last value. */
void record_extend(struct input_record *r, const char *data, size_t len);
/* Returns value `i`, which is borrowed until the record changes. */
struct json_slice record_value(const struct input_record *r, size_t i);
/* Returns whether a line or a value has only white space. */
bool record_text_is_blank(const char *data, size_t len);

#endif
