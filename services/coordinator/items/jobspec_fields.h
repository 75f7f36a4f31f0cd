/*
 * The table of the options of a job: name, type, offset and range of every field. jobspec_read.c uses the table to read
 * the options and to write error messages. Private to jobspec*.c.
 */
#ifndef FANTAIL_COORDINATOR_ITEMS_JOBSPEC_FIELDS_H
#define FANTAIL_COORDINATOR_ITEMS_JOBSPEC_FIELDS_H

#include "common/json/json_walk.h"
#include "coordinator/items/jobspec.h"

enum field_type {
    FIELD_INT,    /* int64_t, whole, from min to max */
    FIELD_NUMBER, /* double, from min to max */
    FIELD_BOOL,
    FIELD_WORD,   /* an enum: one of `words` */
    FIELD_TASKS,  /* a task name, or an array of task names */
    FIELD_TASK,   /* a task name */
    FIELD_RAW,    /* any JSON, kept as text */
    FIELD_ERRORS, /* an array of item error names, kept as bits */
    FIELD_LABELS, /* an array of short strings, kept as text */
    FIELD_URL,    /* a string with the characters of a URL */
};

struct field {
    const char *name; /* "retry.jitter" is the member jitter of the member retry */
    enum field_type type;
    bool nullable;   /* null as the value means the default */
    bool query_only; /* the option is about this response, not about the job */
    unsigned needs;  /* a level, see JOBSPEC_LEVEL */
    size_t offset;
    double min, max;
    const char *const *words; /* indexed by the value of the enum; a NULL element: this value has no word */
    size_t word_count;
};

/* The fields, in the order of the bits of jobspec.seen. */
extern const struct field jobspec_fields[];
extern const size_t jobspec_field_count;

/* Returns the field of that name; NULL when there is none. */
const struct field *jobspec_field(const char *name);
/* Returns whether the field of that name was given. */
bool jobspec_given(const struct jobspec *spec, const char *name);
/* Returns whether there are fields called "<name>.something". */
bool jobspec_is_group(const char *name);

/* Reads an array of at most JOB_LABELS_MAX labels, and sets *labels to its text on one line. If the array is empty,
 * *labels does not change. Returns false if `array` is not an array of valid labels, or has too many. */
bool jobspec_read_labels(struct json_slice array, char **labels);

/* Sets the status, the JSON pointer (the name with slashes instead of dots) and the sentence of the error. Returns
 * false. */
bool jobspec_fail(struct jobspec_error *err, int status, const char *name, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
