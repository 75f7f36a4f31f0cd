#include "common/observe/log.h"

#include <errno.h>
#include <linux/limits.h>
#include <math.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/observe/terminal_text.h"

#define PENDING_BYTES (256 * 1024)
#define STRING_BYTES  (16 * 1024) /* longest string in a field; a longer one is cut */

const char *const log_level_names[LOG_LEVEL_COUNT + 1] = {"debug", "info", "warn", "error", NULL};
enum log_level log_threshold = LOG_LEVEL_INFO;

static struct {
    int fd;
    bool fd_is_file; /* a file is always writable, so poll() is not needed */
    bool fd_known;
    bool deferred;
    bool plain;
    const char *service;
    struct buf line;    /* the line that is being built */
    struct buf pending; /* complete lines that wait; the start of the first line may already be written */
    uint64_t dropped, dropped_reported;
    time_t second; /* the second that `date` shows */
    char date[sizeof "2025-01-31T12:00:00"];
} out = {.fd = STDERR_FILENO, .pending = {.cap = PENDING_BYTES}};

static void add_time(struct buf *b)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != out.second || !out.date[0]) {
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        strftime(out.date, sizeof out.date, "%Y-%m-%dT%H:%M:%S", &tm);
        out.second = now.tv_sec;
    }
    buf_addf(b, "{\"ts\":\"%s.%03ldZ\"", out.date, now.tv_nsec / 1000000);
}

static void add_string(struct buf *b, const char *data, size_t len)
{
    if (len == SIZE_MAX) len = strlen(data);
    buf_add_json_string(b, data, len < STRING_BYTES ? len : STRING_BYTES);
}

static void add_value(struct buf *b, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_KIND_STR: add_string(b, f->as.str.data, f->as.str.len); break;
    case LOG_KIND_U64: buf_add_u64(b, f->as.u64); break;
    case LOG_KIND_I64: buf_add_i64(b, f->as.i64); break;
    case LOG_KIND_F64: isfinite(f->as.f64) ? buf_addf(b, "%.9g", f->as.f64) : buf_add_str(b, "null"); break;
    case LOG_KIND_BOOL: buf_add_str(b, f->as.boolean ? "true" : "false"); break;
    case LOG_KIND_MS: buf_addf(b, "%.3f", (double)f->as.u64 / 1e6); break;
    case LOG_KIND_END: break;
    }
}

static bool is_left_out(const struct log_field *f)
{
    return f->kind == LOG_KIND_STR && !f->as.str.data;
}

static void add_field(struct buf *b, const struct log_field *f)
{
    if (is_left_out(f)) return;
    buf_add_str(b, ",\"");
    buf_add_str(b, f->name);
    buf_add_str(b, "\":");
    add_value(b, f);
}

static void add_json(struct buf *b, enum log_level level, const struct log_field *fields)
{
    add_time(b);
    buf_addf(b, ",\"level\":\"%s\"", log_level_names[level]);
    for (; fields->kind != LOG_KIND_END; fields++) add_field(b, fields);
    if (out.service) add_field(b, &LOG_STR("service", out.service));
    buf_add_str(b, "}\n");
}

/* Appends a line for people. The first field is the message. */
static void add_text(struct buf *b, enum log_level level, const struct log_field *fields)
{
    const char *message = fields->as.str.data;
    buf_addf(b, "%s: %s: %s", out.service ? out.service : "fantail", log_level_names[level], message);
    const char *before = *message && message[strlen(message) - 1] == '.' ? " " : ": ";
    while ((++fields)->kind != LOG_KIND_END) {
        if (is_left_out(fields) || fields->is_said) continue;
        buf_addf(b, "%s%s=", before, fields->name);
        add_value(b, fields);
        before = " ";
    }
    buf_add_char(b, '\n');
}

static void add_line(enum log_level level, const struct log_field *fields)
{
    struct buf *b = &out.line;
    buf_clear(b);
    (out.plain ? add_text : add_json)(b, level, fields);
    if (!buf_add(&out.pending, b->data, b->len)) out.dropped++;
}

void log_write(enum log_level level, const struct log_field *fields)
{
    if (out.dropped != out.dropped_reported && out.pending.len == 0) {
        uint64_t lost = out.dropped - out.dropped_reported;
        out.dropped_reported = out.dropped;
        const struct log_field line[] = {LOG_STR("msg", "log lines were dropped"), LOG_U64("lines", lost), LOG_END};
        add_line(LOG_LEVEL_WARN, line);
    }
    add_line(level, fields);
    if (!out.deferred || level >= LOG_LEVEL_ERROR) log_flush();
}

void log_plain(const char *prefix, const char *text, size_t len)
{
    struct buf *b = &out.line;
    buf_clear(b);
    bool is_terminal = isatty(out.fd);
    if (is_terminal) buf_add_str(b, "\r\033[K");
    if (prefix) buf_addf(b, "%s: ", prefix);
    if (is_terminal)
        terminal_text_add(b, text, len);
    else
        buf_add(b, text, len);
    buf_add_char(b, '\n');
    if (!buf_add(&out.pending, b->data, b->len)) out.dropped++;
    if (!out.deferred) log_flush();
}

void log_set_room(size_t bytes)
{
    out.pending.cap = bytes;
}

size_t log_waiting(void)
{
    return out.pending.len;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

void log_set_plain(bool plain)
{
    out.plain = plain;
}

void log_set_fd(int fd)
{
    out.fd = fd;
    out.fd_known = false;
}

void log_set_service(const char *name)
{
    out.service = name;
}

void log_set_deferred(bool deferred)
{
    out.deferred = deferred;
}

/* Returns how many bytes to write in one call: for a file, all bytes; otherwise whole lines, with at most PIPE_BUF
 * bytes in all, or PIPE_BUF bytes of a longer line. A write of at most PIPE_BUF bytes does not block if the pipe has
 * room, and is not mixed with writes of other processes. */
static size_t writable_piece(const struct buf *b)
{
    size_t most = out.fd_is_file || b->len < PIPE_BUF ? b->len : PIPE_BUF;
    if (most == b->len) return most;
    const char *end = memrchr(b->data, '\n', most);
    return end ? (size_t)(end - b->data) + 1 : most;
}

/* Other processes may share the descriptor, so it must not become non-blocking. Instead, poll() checks before each
 * write whether the descriptor accepts bytes. */
static bool is_writable(int timeout_ms)
{
    if (!out.fd_known) {
        struct stat st;
        out.fd_is_file = fstat(out.fd, &st) == 0 && S_ISREG(st.st_mode);
        out.fd_known = true;
    }
    if (out.fd_is_file) return true;
    struct pollfd p = {.fd = out.fd, .events = POLLOUT};
    return poll(&p, 1, timeout_ms) > 0;
}

static void flush(int timeout_ms)
{
    struct buf *b = &out.pending;
    while (b->len && is_writable(timeout_ms)) {
        ssize_t n = write(out.fd, b->data, writable_piece(b));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) { /* the reader is gone */
            out.dropped++;
            buf_clear(b);
            return;
        }
        buf_drop_front(b, (size_t)n);
    }
}

void log_flush(void)
{
    if (out.pending.len) flush(0);
}

void log_flush_wait(int timeout_ms)
{
    flush(timeout_ms);
}
