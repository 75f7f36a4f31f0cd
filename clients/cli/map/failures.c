#include "cli/map/failures.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/report/count.h"
#include "cli/base/json_member.h"
#include "common/base/buf.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"
#include "protocol/protocol.h"

/* A message shows at most this many bytes of each part of an error. The --errors file has the whole error. */
enum { NAME_BYTES = 200, CAUSE_BYTES = 1000, OUTPUT_BYTES = 500 };

/* Returns whether the path, such as /dev/stderr, leads to the same file as the descriptor. */
static bool is_file_of(const char *path, int fd)
{
    struct stat named, open;
    return stat(path, &named) == 0 && fstat(fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

/* Opens the file for writing. If standard error or standard output goes to the same file, keeps the content of the file
 * and shares the offset. */
static FILE *open_file(const char *path)
{
    int shared = strcmp(path, "-") == 0 || is_file_of(path, STDERR_FILENO) ? STDERR_FILENO
                 : is_file_of(path, STDOUT_FILENO)                         ? STDOUT_FILENO
                                                                           : -1;
    if (shared < 0) return fopen(path, "we");
    int fd = fcntl(shared, F_DUPFD_CLOEXEC, 0);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file)
        setvbuf(file, NULL, _IOLBF, 0); /* whole lines, because the file also gets other output */
    else if (fd >= 0)
        close(fd);
    return file;
}

bool failures_init(struct failures *f, const char *path, bool quiet)
{
    *f = (struct failures){.quiet = quiet};
    if (!path) return true;
    f->file = open_file(path);
    return f->file != NULL;
}

/* Keeps only the last line that is not empty, because most programs write the reason of a failure in that line. */
static void keep_last_line(struct buf *text)
{
    while (text->len && (text->data[text->len - 1] == '\n' || text->data[text->len - 1] == '\r')) text->len--;
    const char *newline = text->len ? memrchr(text->data, '\n', text->len) : NULL;
    if (newline) buf_drop_front(text, (size_t)(newline + 1 - text->data));
}

/* Reads a member of the error. If the member is missing, the text is empty. */
static void read_text(const char *error, size_t len, const char *name, struct buf *text)
{
    if (!json_member_read(error, len, name, text)) buf_clear(text);
}

/* Adds the text on one line, between `before` and `after`. Cuts the text after at most `most` bytes, at the start of a
 * character. An empty text adds nothing. */
static void add_part(struct buf *line, const char *before, const struct buf *text, size_t most, const char *after)
{
    size_t len = text ? text->len : 0;
    if (!len) return;
    if (len > most)
        for (len = most; len > 0 && ((unsigned char)text->data[len] & 0xC0) == 0x80;) len--;
    buf_add_str(line, before);
    for (size_t i = 0; i < len; i++) {
        bool breaks = text->data[i] == '\n' || text->data[i] == '\r' || text->data[i] == '\0';
        buf_add_char(line, breaks ? ' ' : text->data[i]);
    }
    if (len < text->len) buf_addf(line, "... (%zu bytes)", text->len);
    buf_add_str(line, after);
}

/* Adds the number of the item, counted from 1 like {#}, and the line of the item. If the line is not known, adds the
 * index of the item instead, counted from 0 as in FANTAIL_INDEX and in the --errors file. */
static void add_place(struct buf *line, uint64_t index, uint64_t in_line)
{
    buf_addf(line, "item %llu", (unsigned long long)index + 1);
    buf_addf(line, in_line ? " (line %llu)" : " (index %llu)", (unsigned long long)(in_line ? in_line : index));
}

static void report(const struct failures *f, uint64_t index, uint64_t in_line, const char *error, size_t len)
{
    struct buf name = {0}, cause = {0}, place = {0}, output = {0}, line = {0};
    bool named = json_member_read(error, len, "name", &name) && name.len;
    read_text(error, len, "cause", &cause);
    read_text(error, len, "place", &place);
    if (!f->shows_stderr) read_text(error, len, "stderr", &output);
    keep_last_line(&output);
    add_place(&line, index, in_line);
    add_part(&line, ": ", named ? &name : NULL, NAME_BYTES, "");
    if (!named) buf_add_str(&line, ": failed");
    add_part(&line, ": ", &cause, CAUSE_BYTES, "");
    add_part(&line, " (", &place, NAME_BYTES, ")");
    add_part(&line, " | ", &output, OUTPUT_BYTES, "");
    complain_text(buf_cstr(&line));
    buf_release(&line);
    buf_release(&name);
    buf_release(&cause);
    buf_release(&place);
    buf_release(&output);
}

static bool is_utf8(const char *text, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        at += json_text_length(text + at, len - at);
        if (at < len && (unsigned char)text[at] >= 0x80) return false;
    }
    return true;
}

static void add_base64(struct buf *b, const char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < len; at += 3) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) bits = bits << 8 | (at + i < len ? (unsigned char)data[at + i] : 0);
        char four[4];
        for (size_t i = 0; i < 4; i++) four[i] = at + i > len ? '=' : digits[bits >> (18 - 6 * i) & 63];
        buf_add(b, four, sizeof(four));
    }
}

static void write_to_file(struct failures *f, uint64_t index, const char *error, size_t error_len, const char *item,
                          size_t item_len, bool text)
{
    struct buf line = {0};
    buf_addf(&line, "{\"index\":%llu,\"error\":", (unsigned long long)index);
    buf_add(&line, error, error_len);
    if (item_len || (text && item)) {
        buf_add_str(&line, ",\"item\":");
        if (text)
            buf_add_json_string(&line, item, item_len);
        else
            buf_add(&line, item, item_len);
    }
    if (text && item && !is_utf8(item, item_len)) {
        buf_add_str(&line, ",\"item_base64\":\"");
        add_base64(&line, item, item_len);
        buf_add_char(&line, '"');
    }
    buf_add_str(&line, "}\n");
    fwrite(line.data, 1, line.len, f->file);
    buf_release(&line);
}

/* Returns whether the command has ended with an exit status, by a signal or because of --timeout. */
static bool has_ended(const char *error, size_t len)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (!json_walk_init(&walk, error, len)) return false;
    while (json_walk_next(&walk, &name, &value)) {
        bool number = json_string_is(name, "exit_code") || json_string_is(name, "signal");
        if (number && value.data[0] != 'n') return true;
        if (json_string_is(name, "name") && json_string_is(value, item_error_name(ITEM_TIMED_OUT))) return true;
    }
    return false;
}

void failures_add(struct failures *f, uint64_t index, uint64_t line, const char *error, size_t error_len,
                  const char *item, size_t item_len, bool text)
{
    f->count++;
    if (!f->quiet) error_counts_add(&f->names, error, error_len);
    if (f->file) write_to_file(f, index, error, error_len, item, item_len, text);
    bool lost = f->reports_lost && f->reported < FAILURES_REPORTED_MAX && !has_ended(error, error_len);
    if (!failures_reports(f) && !lost) return;
    f->reported++;
    report(f, index, line, error, error_len);
}

static void add_names(const struct failures *f, struct buf *line)
{
    buf_add_str(line, " (");
    error_counts_write(&f->names, f->cancelled, line);
    buf_add_str(line, ")");
}

void failures_add_details(const struct failures *f, bool listed, struct buf *line)
{
    bool is_cut = f->count > f->reported;
    if (failures_failed(f) && is_cut) add_names(f, line);
    if (failures_failed(f) && f->cancelled) {
        buf_add_str(line, ", and ");
        count_add(line, f->cancelled);
        buf_add_str(line, " were cancelled");
    }
    if (is_cut && !listed) buf_add_str(line, "; --errors FILE lists them all");
}

/* Writes how many items failed or were cancelled. `answered`: `total` counts only answered items. `listed`: the
 * failures were written to a file. */
static void complain_of_count(const struct failures *f, uint64_t total, bool answered, bool listed)
{
    bool some_failed = failures_failed(f) > 0;
    struct buf line = {0};
    count_add(&line, some_failed ? failures_failed(f) : f->cancelled);
    buf_add_str(&line, " of ");
    count_add(&line, total);
    buf_add_str(&line, answered ? " answered items" : " items");
    buf_add_str(&line, some_failed ? " failed" : " were cancelled");
    size_t failure = some_failed ? line.len : 0;
    failures_add_details(f, listed, &line);
    complain_failure(buf_cstr(&line), failure);
    buf_release(&line);
}

bool failures_close(struct failures *f)
{
    if (!f->file) return true;
    bool good = !ferror(f->file);
    good = fclose(f->file) == 0 && good;
    f->file = NULL;
    return good;
}

bool failures_finish(struct failures *f, uint64_t total, bool answered)
{
    bool listed = f->file != NULL, good = failures_close(f);
    if (f->count && !f->quiet) complain_of_count(f, total, answered, listed);
    return good;
}
