/*
 * The log: one JSON object per line on standard error,
 * {"ts":"2025-01-31T12:00:00.123Z","level":"info","msg":"...",...}.
 *
 *     log_info("chunk ended", LOG_STR("job", id), LOG_U64("items", n), LOG_MS("duration_ms", ns));
 *
 * After log_set_plain(true), each line is a text for people instead: "worker: warn: a message: name=value ...".
 *
 * A line below the level costs one comparison; its fields are not evaluated. Logging never blocks. If standard error
 * does not accept a line immediately, the line waits in a buffer of limited size. Lines that do not fit into this
 * buffer are dropped, counted and reported later. Global state, single-threaded. Do not log bodies or secrets.
 */
#ifndef FANTAIL_COMMON_OBSERVE_LOG_H
#define FANTAIL_COMMON_OBSERVE_LOG_H

#include "common/base/base.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_COUNT };

/* "debug", "info", ..., NULL: the choices of the option log-level. */
extern const char *const log_level_names[LOG_LEVEL_COUNT + 1];
/* Lines below this level are not written. Set it with log_set_level(). */
extern enum log_level log_threshold;

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_F64, LOG_KIND_BOOL, LOG_KIND_MS };

struct log_field {
    const char *name; /* a literal that needs no escaping */
    enum log_kind kind;
    bool is_said; /* the message contains the value too, see LOG_SAID() */
    union {
        struct {
            const char *data;
            size_t len; /* SIZE_MAX: up to the NUL */
        } str;
        uint64_t u64;
        int64_t i64;
        double f64;
        bool boolean;
    } as;
};

/* If the string is NULL, the field is omitted. */
#define LOG_STR(n, s)       ((struct log_field){.name = (n), .kind = LOG_KIND_STR, .as.str = {(s), SIZE_MAX}})
#define LOG_STRN(n, s, len) ((struct log_field){.name = (n), .kind = LOG_KIND_STR, .as.str = {(s), (len)}})
#define LOG_U64(n, v)       ((struct log_field){.name = (n), .kind = LOG_KIND_U64, .as.u64 = (uint64_t)(v)})
#define LOG_I64(n, v)       ((struct log_field){.name = (n), .kind = LOG_KIND_I64, .as.i64 = (int64_t)(v)})
#define LOG_F64(n, v)       ((struct log_field){.name = (n), .kind = LOG_KIND_F64, .as.f64 = (v)})
#define LOG_BOOL(n, v)      ((struct log_field){.name = (n), .kind = LOG_KIND_BOOL, .as.boolean = (v)})
/* The value is in nanoseconds; it is written as milliseconds with a fraction. */
#define LOG_MS(n, ns) ((struct log_field){.name = (n), .kind = LOG_KIND_MS, .as.u64 = (uint64_t)(ns)})
/* A field whose value is also in the message. A plain line omits the field. */
#define LOG_SAID(field) log_said(field)
/* Ends the list of fields. The macros below add LOG_END. */
#define LOG_END ((struct log_field){.kind = LOG_KIND_END})

static inline struct log_field log_said(struct log_field field)
{
    field.is_said = true;
    return field;
}

#define log_debug(...) LOG_AT_(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_AT_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_AT_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT_(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_AT_(lvl, message, ...)                                                                                     \
    do {                                                                                                               \
        if ((lvl) >= log_threshold)                                                                                    \
            log_write((lvl), (const struct log_field[]){LOG_STR("msg", message), ##__VA_ARGS__, LOG_END});             \
    } while (0)

/* Writes the fields before LOG_END; the first field is msg. Use the macros instead of this function. */
void log_write(enum log_level level, const struct log_field *fields);

/* Writes the text as a line of its own, after `prefix` and a colon, whatever log_threshold is. `prefix` may be NULL.
 * Use this function to pass on the output of another program. On a terminal, the text replaces an unfinished line, such
 * as a progress line. On a terminal, control characters of the text are written as \xNN. */
void log_plain(const char *prefix, const char *text, size_t len);
/* Sets how many bytes of log lines may wait to be written; further lines are dropped. */
void log_set_room(size_t bytes);
/* Returns how many bytes of log lines wait to be written. */
size_t log_waiting(void);

void log_set_level(enum log_level level);
/* If true, each later line is written as text for people, without its time. */
void log_set_plain(bool plain);
/* For tests: sets the descriptor that lines are written to, which is 2 by default. The flags of the descriptor are not
 * changed. */
void log_set_fd(int fd);
/* Adds "service":name to every later line; NULL adds nothing. `name` is borrowed. */
void log_set_service(const char *name);
/* If true, lines below the level error wait for log_flush(). Use it in programs that flush once per turn of the
 * loop. */
void log_set_deferred(bool deferred);
/* Writes the waiting lines, without blocking. A service calls it in every loop turn. */
void log_flush(void);
/* Writes the waiting lines. Call it before the program ends. Before each write, waits at most timeout_ms for standard
 * error to accept bytes. */
void log_flush_wait(int timeout_ms);

#endif
