#include "worker/chunk/chunk_header.h"

#include "common/base/limits.h"
#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

#define LONG_BYTES  4096  /* shorter lines are read when they are complete */
#define START_BYTES 4096  /* the common value of a long line is found only if it begins within this many bytes */
#define REST_BYTES  65536 /* a line with more bytes than this besides its common value is parsed as a whole */

static const char common_name[] = "\"common\":";

static bool read_timeout(struct chunk_header *h, struct json_slice v)
{
    char text[40];
    if (v.len >= sizeof text || !strchr("-0123456789", v.data[0])) return false;
    memcpy(text, v.data, v.len);
    text[v.len] = '\0';
    double seconds = strtod(text, NULL);
    if (!(seconds >= 0 && seconds <= LIMIT_TIME_S)) return false;
    h->has_item_timeout = true;
    h->item_timeout_ns = time_limit_ns(seconds);
    return true;
}

static bool read_pipeline(struct chunk_header *h, struct json_slice v)
{
    struct json_walk w;
    struct json_slice task;
    if (v.data[0] != '[' || !json_walk_init(&w, v.data, v.len)) return false;
    while (json_walk_next(&w, NULL, &task)) {
        struct buf name = {0};
        if (h->tasks == PIPELINE_TASKS_MAX || json_string_fault(task) || !json_string_decode(task, &name)) {
            buf_release(&name);
            return false;
        }
        h->task[h->tasks++] = xstrdup(buf_cstr(&name));
        buf_release(&name);
    }
    return h->tasks > 0;
}

void chunk_header_release(struct chunk_header *h)
{
    for (unsigned i = 0; i < h->tasks; i++) free(h->task[i]);
    h->tasks = 0;
}

static bool read_member(struct chunk_header *h, struct json_slice name, struct json_slice value, char *err,
                        size_t err_size)
{
    if (json_string_is(name, "common")) {
        h->common = value.data;
        h->common_len = value.len;
        return true;
    }
    if (json_string_is(name, "item_timeout_s")) {
        if (read_timeout(h, value)) return true;
        snprintf(err, err_size, "the header line's item_timeout_s must be a number from 0 to %d", LIMIT_TIME_S);
    } else if (json_string_is(name, "pipeline")) {
        if (h->tasks == 0 && read_pipeline(h, value)) return true;
        snprintf(err, err_size, "the header line's pipeline must be an array of 1 to %d task names",
                 PIPELINE_TASKS_MAX);
    } else {
        snprintf(err, err_size, "the header line has an unknown member %.*s", (int)name.len, name.data);
    }
    return false;
}

static bool parse(struct chunk_header *h, const char *line, size_t len, char *err, size_t err_size)
{
    *h = (struct chunk_header){0};
    struct json_walk w;
    struct json_slice name, value;
    size_t offset;
    const char *reason, *start = line;
    if (!json_valid(line, len, &offset, &reason)) {
        snprintf(err, err_size, "the header line is not valid JSON at byte %zu: %s", offset, reason);
        return false;
    }
    while (len && (*line == ' ' || *line == '\t' || *line == '\r')) line++, len--;
    if (*line != '{' || !json_walk_init(&w, line, len)) {
        snprintf(err, err_size, "the header line must be a JSON object");
        return false;
    }
    if (!json_own_check_names(line, len, &offset, &reason)) {
        snprintf(err, err_size, "the header line, at byte %zu: %s", (size_t)(line - start) + offset, reason);
        return false;
    }
    while (json_walk_next(&w, &name, &value)) {
        if (read_member(h, name, value, err, err_size)) continue;
        chunk_header_release(h);
        return false;
    }
    return true;
}

void chunk_header_look(struct value_scan *scan, const char *line, size_t len)
{
    if (len < LONG_BYTES) return;
    if (scan->state == VALUE_SCAN_IDLE) {
        const char *at = memmem(line, START_BYTES, common_name, sizeof common_name - 1);
        if (!at) return;
        value_scan_begin(scan, (size_t)(at - line) + sizeof common_name - 1);
    }
    value_scan_feed(scan, line, len);
}

/* Parses a line whose common value was scanned while the line arrived. Parses a copy of the line with null in place of
 * the value, so the value is not scanned again. Returns false if the line must be parsed as a whole, for example
 * because the value belongs to a nested object. */
static bool parse_rest(struct chunk_header *h, const struct value_scan *v, const char *line, size_t len)
{
    if (v->state != VALUE_SCAN_WHOLE || len - (v->end - v->begin) > REST_BYTES) return false;
    struct buf rest = {0};
    char err[200];
    buf_add(&rest, line, v->begin);
    buf_add_str(&rest, "null");
    buf_add(&rest, line + v->end, len - v->end);
    bool ok = parse(h, rest.data, rest.len, err, sizeof err);
    if (ok && h->common != rest.data + v->begin) {
        chunk_header_release(h);
        ok = false;
    }
    buf_release(&rest);
    if (!ok) return false;
    size_t spaces = strspn(line + v->begin, " \t\r");
    h->common = line + v->begin + spaces;
    h->common_len = v->end - v->begin - spaces;
    return true;
}

bool chunk_header_parse(struct chunk_header *h, struct value_scan *scan, const char *line, size_t len, char *err,
                        size_t err_size)
{
    if (scan) chunk_header_look(scan, line, len);
    return (scan && parse_rest(h, scan, line, len)) || parse(h, line, len, err, err_size);
}
