/*
 * The table of what a job may say: every field's name, type, place and range. jobspec_read.c reads by it; the
 * sentences of its errors are made of it too.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_JOBSPEC_FIELDS_H
#define FANTAIL_COORDINATOR_ITEMS_JOBSPEC_FIELDS_H

#include "coordinator/items/jobspec.h"

enum field_type {
    FIELD_INT,    /* int64_t, whole, from min to max */
    FIELD_NUMBER, /* double, from min to max */
    FIELD_BOOL,
    FIELD_WORD,   /* an enum: one of `words` */
    FIELD_TASKS,  /* a task name, or an array of them */
    FIELD_TASK,   /* a task name */
    FIELD_RAW,    /* any JSON, kept as text */
    FIELD_ERRORS, /* an array of item error names, kept as bits */
};

struct field {
    const char *name; /* "retry.jitter" is the member jitter of the member retry */
    enum field_type type;
    bool nullable;   /* null leaves the default */
    bool query_only; /* asks for something of this answer, not of the job */
    size_t offset;
    double min, max;
    const char *const *words; /* by the enum's value; NULL where a value has no word */
    size_t word_count;
};

/* In the order of the bits of jobspec.seen. */
extern const struct field jobspec_fields[];
extern const size_t jobspec_field_count;

/* NULL when there is none of that name. */
const struct field *jobspec_field(const char *name);
/* Whether the field of that name was given. */
bool jobspec_given(const struct jobspec *spec, const char *name);
/* Whether there are fields called "<name>.something". */
bool jobspec_is_group(const char *name);

/* Sets status, pointer (the name with slashes for dots) and sentence; returns false. */
bool jobspec_fail(struct jobspec_error *err, int status, const char *name, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
