#include "cli/runs/joblog.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json/byte_text.h"

#define HEADER                                                                                                         \
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\tIndex\tWorker\tAttempts\tPeak\n"

/* The index of the column Exitval, and the number of columns before the command. The first column has the index 0. */
enum { COLUMN_EXIT = 6, COLUMNS_BEFORE_COMMAND = 8 };

/* ---- reading ---- */

/* Returns the start of column n of the line. Returns NULL if the line has no column n. */
static const char *column(const char *line, const char *end, unsigned n)
{
    const char *at = line;
    for (; n > 0 && at; n--) {
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        at = tab ? tab + 1 : NULL;
    }
    return at;
}

static bool has_succeeded(const char *line, const char *end)
{
    const char *status = column(line, end, COLUMN_EXIT);
    return status && end - status >= 4 && memcmp(status, "0\t0\t", 4) == 0;
}

/* Adds the item of a line to `done`, unless the item must run again. Returns false if the line is not a line of a
 * log. */
static bool read_line(const char *line, const char *end, enum joblog_resume resume, struct done_set *done)
{
    char *after;
    if (*line < '0' || *line > '9' || !column(line, end, COLUMNS_BEFORE_COMMAND)) return false;
    unsigned long long seq = strtoull(line, &after, 10);
    if (seq == 0 || *after != '\t') return false;
    if (resume == JOBLOG_RESUME_FAILED && !has_succeeded(line, end)) return true;
    return done_set_add(done, seq - 1);
}

/* Reads all complete lines. Returns the number of the first bad line, or 0 if all lines are good. *whole becomes the
 * length of the complete lines. */
static uint64_t read_lines(const char *data, size_t len, enum joblog_resume resume, struct done_set *done,
                           size_t *whole)
{
    uint64_t number = 0;
    const char *at = data, *end = data + len;
    for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        number++;
        bool is_header = number == 1 && newline - at > 4 && memcmp(at, "Seq\t", 4) == 0;
        if (!is_header && !read_line(at, newline, resume, done)) return number;
    }
    *whole = (size_t)(at - data);
    return 0;
}

static bool fail(char *err, size_t err_size, const char *what, const char *path)
{
    snprintf(err, err_size, "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

/* Reads the log that an earlier run has left. *whole becomes the length of the log's complete lines. */
static bool read_log(int fd, const char *path, enum joblog_resume resume, struct done_set *done, size_t *whole,
                     char *err, size_t err_size)
{
    struct stat st;
    *whole = 0;
    if (fstat(fd, &st) != 0) return fail(err, err_size, "read", path);
    if (st.st_size == 0) return true;
    size_t len = (size_t)st.st_size;
    void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return fail(err, err_size, "read", path);
    uint64_t bad = read_lines(data, len, resume, done, whole);
    munmap(data, len);
    if (!bad) return true;
    snprintf(err, err_size, "line %llu of %s is not a line of such a log", (unsigned long long)bad, path);
    return false;
}

/* Removes an unfinished last line, so that the next line does not continue it. */
static bool cut_torn_line(int fd, const char *path, char *err, size_t err_size)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return fail(err, err_size, "read", path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0) return true;
    size_t len = (size_t)st.st_size;
    char *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return fail(err, err_size, "read", path);
    const char *last = memrchr(data, '\n', len);
    size_t whole = last ? (size_t)(last + 1 - data) : 0;
    munmap(data, len);
    return whole == len || ftruncate(fd, (off_t)whole) == 0 || fail(err, err_size, "shorten", path);
}

bool joblog_open(struct joblog *l, const char *path, enum joblog_resume resume, bool append, struct done_set *done,
                 char *err, size_t err_size)
{
    bool keep = append || resume != JOBLOG_NEW;
    size_t whole = 0;
    *l = (struct joblog){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (keep ? O_APPEND : O_TRUNC), 0666)};
    if (l->fd < 0) return fail(err, err_size, "open", path);
    if (resume != JOBLOG_NEW && !read_log(l->fd, path, resume, done, &whole, err, err_size)) return false;
    if (resume != JOBLOG_NEW && ftruncate(l->fd, (off_t)whole) != 0) return fail(err, err_size, "shorten", path);
    if (resume == JOBLOG_NEW && append && !cut_torn_line(l->fd, path, err, err_size)) return false;
    if (lseek(l->fd, 0, SEEK_END) <= 0) buf_add_str(&l->lines, HEADER);
    return true;
}

/* ---- writing ---- */

static void add_command(struct joblog *l, struct json_slice command)
{
    if (l->task) buf_add_str(&l->lines, l->task);
    buf_clear(&l->text);
    if (!command.len || !json_string_decode(command, &l->text)) return;
    size_t len = byte_text_to_bytes(l->text.data, l->text.len);
    for (size_t i = 0; len != SIZE_MAX && i < len; i++)
        buf_add_char(&l->lines, l->text.data[i] == '\n' ? '\0' : l->text.data[i]);
}

static void add_worker(struct joblog *l, struct json_slice worker)
{
    buf_clear(&l->text);
    if (worker.len && json_string_decode(worker, &l->text)) buf_add(&l->lines, l->text.data, l->text.len);
}

void joblog_add(struct joblog *l, const struct run_record *r)
{
    const int64_t *n = r->numbers;
    if (l->fd < 0) return;
    buf_addf(&l->lines, "%llu\t:\t%.3f\t%10.3f\t%lld\t%lld\t%lld\t%lld\t", (unsigned long long)r->index + 1,
             (double)n[RUN_RECORD_START_US] / 1e6, (double)n[RUN_RECORD_TOOK_US] / 1e6, (long long)n[RUN_RECORD_SENT],
             (long long)n[RUN_RECORD_RECEIVED], (long long)n[RUN_RECORD_EXIT], (long long)n[RUN_RECORD_SIGNAL]);
    add_command(l, r->command);
    buf_addf(&l->lines, "\t%llu\t", (unsigned long long)r->index);
    add_worker(l, r->worker);
    buf_addf(&l->lines, "\t%lld\t%lld\n", (long long)n[RUN_RECORD_ATTEMPT], (long long)n[RUN_RECORD_PEAK_BYTES]);
}

void joblog_add_lost(struct joblog *l, uint64_t index, struct json_slice error, int64_t now_us)
{
    struct run_record r;
    if (l->fd < 0) return;
    run_record_of_error(&r, index, error);
    r.numbers[RUN_RECORD_START_US] = now_us;
    joblog_add(l, &r);
}

bool joblog_flush(struct joblog *l)
{
    size_t at = 0;
    while (l->fd >= 0 && at < l->lines.len) {
        ssize_t n = write(l->fd, l->lines.data + at, l->lines.len - at);
        if (n < 0 && errno != EINTR) return false;
        at += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&l->lines);
    return true;
}

void joblog_close(struct joblog *l)
{
    if (l->fd >= 0) close(l->fd);
    buf_release(&l->lines);
    buf_release(&l->text);
    *l = (struct joblog){.fd = -1};
}
