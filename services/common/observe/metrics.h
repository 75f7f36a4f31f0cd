/*
 * A registry of counters, gauges and histograms, rendered as Prometheus text. Registering returns a pointer; counting
 * is a plain addition through that pointer:
 *
 *     uint64_t *jobs = metric_counter("fantail_jobs_total", "Jobs that ended.", "status=\"succeeded\"");
 *     *jobs += 1;
 *
 * A series is in the text as soon as it is registered, at first with the value 0. So at start-up, register a series for
 * each value that a label can have. A peer must never be able to choose a label value. If the same name and labels are
 * registered again, the same pointer is returned. Pointers live until metrics_release(). Global state, single-threaded.
 * Code that runs for each item must do no more than add to counters; all other calls cost too much.
 *
 * `labels` is the text between the braces (`status="ok",task="square"`); NULL: none. metric_add_label() escapes values.
 * `help` and names are borrowed and must be literals; labels are copied.
 */
#ifndef FANTAIL_COMMON_OBSERVE_METRICS_H
#define FANTAIL_COMMON_OBSERVE_METRICS_H

#include "common/base/base.h"
#include "common/base/buf.h"

uint64_t *metric_counter(const char *name, const char *help, const char *labels);
int64_t *metric_gauge(const char *name, const char *help, const char *labels);
/* Registers a gauge or a counter. metrics_render() calls fn(data) to get its value. */
void metric_gauge_fn(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data);
void metric_counter_fn(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data);

/* Registers a gauge with one label whose set of values changes. metrics_render() calls each(), which calls
 * metric_emit() for every value of the label. metric_emit() escapes the value. The label must have only a few
 * values. */
struct metric_emitter;
void metric_gauge_each(const char *name, const char *help, const char *label,
                       void (*each)(void *data, struct metric_emitter *to), void *data);
void metric_emit(struct metric_emitter *to, const char *value, double n);

/* Registers one counter for each value of one label; out[i] is the counter of values[i]. */
void metric_counters(const char *name, const char *help, const char *label, const char *const *values, size_t count,
                     uint64_t **out);

/* A histogram of durations. All histograms have the same bounds, from 100 microseconds to 10 minutes. */
struct metric_histogram;
struct metric_histogram *metric_histogram(const char *name, const char *help, const char *labels);
void metric_observe_ns(struct metric_histogram *h, uint64_t duration_ns);

/* Appends `name="value"`, after a comma if `labels` is not empty. */
bool metric_add_label(struct buf *labels, const char *name, const char *value);

/* Registers process_* and fantail_build_info{version,service}. `service` is "coordinator" or "worker". */
void metrics_register_process(const char *service);

/* Appends all metrics in order of registration. Returns false when `out` has reached its cap. */
MUST_CHECK bool metrics_render(struct buf *out);
/* Content-Type of the text. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
void metrics_release(void);

#endif
