/*
 * Writes spans as the JSON of OTLP/HTTP: an ExportTraceServiceRequest in the JSON mapping of opentelemetry-proto. In
 * this mapping, ids are hexadecimal, 64-bit integers are strings, and enums are numbers. To write a request, call
 * otlp_begin(), add spans with commas between them, and call otlp_end(). A pure module.
 */
#ifndef FANTAIL_COMMON_OBSERVE_OTLP_H
#define FANTAIL_COMMON_OBSERVE_OTLP_H

#include "common/base/buf.h"
#include "common/observe/trace_context.h"

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* the values are those of OTLP */

enum span_value { SPAN_VALUE_END, SPAN_VALUE_STR, SPAN_VALUE_INT, SPAN_VALUE_BOOL };

struct span_attribute {
    const char *key; /* a literal that needs no escaping */
    enum span_value kind;
    const char *str; /* NULL: the attribute is omitted */
    int64_t number;
};

#define SPAN_STR(k, v)  ((struct span_attribute){.key = (k), .kind = SPAN_VALUE_STR, .str = (v)})
#define SPAN_INT(k, v)  ((struct span_attribute){.key = (k), .kind = SPAN_VALUE_INT, .number = (int64_t)(v)})
#define SPAN_BOOL(k, v) ((struct span_attribute){.key = (k), .kind = SPAN_VALUE_BOOL, .number = (v)})
#define SPAN_END        ((struct span_attribute){.kind = SPAN_VALUE_END})

/* A span that has ended. All pointers are borrowed for the call. */
struct span {
    struct trace_context context;
    const uint8_t *parent_id; /* 8 bytes; NULL: the trace begins here */
    bool parent_is_remote;
    const char *state; /* tracestate; NULL: none */
    enum span_kind kind;
    const char *name;
    uint64_t start_ns, end_ns;               /* instants of now_ns(); the exporter converts them to Unix time */
    const struct span_attribute *attributes; /* up to SPAN_END; NULL: none */
    bool failed;
    const char *failure; /* a short reason; NULL: none */
};

/* Appends a span. unix_offset_ns is added to start_ns and end_ns to convert them to Unix time. */
void otlp_add_span(struct buf *out, const struct span *s, uint64_t unix_offset_ns);

/* Appends one of the service's resource attributes for otlp_begin(): {"key":...,"value":{"stringValue":...}}. The value
 * may be any text. If `out` is not empty, appends a comma first. */
void otlp_add_resource(struct buf *out, const char *key, const char *value);
/* Begins a request. `resource` is the text that otlp_add_resource() wrote. */
void otlp_begin(struct buf *out, const char *resource, size_t resource_len);
void otlp_end(struct buf *out);

/* Returns how many spans the collector rejected (partialSuccess). `answer` is the collector's answer with status
 * 200. */
uint64_t otlp_rejected(const char *answer, size_t len);

#endif
