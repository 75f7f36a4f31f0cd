/*
 * Reads OpenTelemetry's environment variables. docs/observing.md lists the supported variables. Tracing is off unless
 * an endpoint is given. As the standard requires, an invalid value is ignored, and the caller gets a note. Only an
 * invalid endpoint and invalid headers are errors. A pure module: getenv() is an argument.
 */
#ifndef FANTAIL_COMMON_OBSERVE_TRACE_CONFIG_H
#define FANTAIL_COMMON_OBSERVE_TRACE_CONFIG_H

#include "common/base/buf.h"
#include "common/observe/trace_context.h"

#define TRACE_CONFIG_NOTES 12

/* A variable that is ignored, and the reason. Both are literals. */
struct trace_note {
    const char *variable, *why;
};

struct trace_config {
    char *url;      /* the URL to which spans are posted; NULL: tracing is off */
    char **headers; /* "Name: value" for the exporter's requests, NULL-ended; NULL: none. May be secret */
    uint64_t timeout_ms;
    uint64_t delay_ms; /* how long a span waits for other spans of its batch */
    unsigned batch_spans, queue_spans;
    struct trace_sampler sampler;
    char *service_name;  /* NULL: not given */
    char *resource_text; /* OTEL_RESOURCE_ATTRIBUTES, which is well formed; NULL: none */
    struct trace_note notes[TRACE_CONFIG_NOTES];
    unsigned note_count;
};

/* Reads the variables with `get`, which is getenv() or a similar function. On failure trace_config_read() returns
 * false, err has a sentence that begins with the variable's name, and there is nothing to release. */
MUST_CHECK bool trace_config_read(struct trace_config *c, const char *(*get)(const char *name), char *err,
                                  size_t err_size);
void trace_config_release(struct trace_config *c);

/* Writes the service's resource attributes for otlp_begin(). If the user has not given a value for service.name,
 * service.version or service.instance.id, writes our own value. */
void trace_config_resource(const struct trace_config *c, const char *service, const char *instance, struct buf *out);

#endif
