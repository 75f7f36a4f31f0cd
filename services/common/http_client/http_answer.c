#include "common/http_client/http_answer.h"

#include <string.h>
#include <strings.h>

#define CHUNK_LINE_BYTES 4096 /* maximum length of the line with a chunk's size and its extensions */

void http_answer_release(struct http_answer *a)
{
    buf_release(&a->line);
}

void http_answer_begin(struct http_answer *a, bool to_head)
{
    struct buf line = a->line;
    *a = (struct http_answer){.to_head = to_head, .line = line};
    a->line.cap = HTTP_ANSWER_HEAD_BYTES;
    buf_clear(&a->line);
}

bool http_answer_ends_here(const struct http_answer *a)
{
    return a->state == HTTP_ANSWER_IN_BODY_TO_CLOSE || a->state == HTTP_ANSWER_AT_END;
}

/* Lines. */

/* Reads a line: sets *line to the line without its end, and returns true. If the bytes at *at contain no line end,
 * stores them and returns false. If the line is too long, sets a->fault. */
static bool read_line(struct http_answer *a, const char **at, size_t *left, const char **line, size_t *len)
{
    const char *end = memchr(*at, '\n', *left);
    size_t n = end ? (size_t)(end - *at) + 1 : *left;
    bool chunk = a->state == HTTP_ANSWER_AT_CHUNK_SIZE || a->state == HTTP_ANSWER_AT_CHUNK_END;
    if (!chunk) a->head_bytes += n;
    if (a->head_bytes > HTTP_ANSWER_HEAD_BYTES || (chunk && a->line.len + n > CHUNK_LINE_BYTES)) {
        a->fault = chunk ? "the line before a chunk is too long" : "the header lines are larger than 65536 bytes";
        return false;
    }
    *line = *at;
    *len = n;
    *at += n;
    *left -= n;
    if (!end || a->line.len) {
        if (!buf_add(&a->line, *line, n)) a->fault = "a line is too long";
        *line = a->line.data;
        *len = a->line.len;
        a->line_is_used = end != NULL;
    }
    if (!end) return false;
    --*len;
    if (*len && (*line)[*len - 1] == '\r') --*len;
    return true;
}

/* Heads. */

static bool read_status(struct http_answer *a, const char *line, size_t len)
{
    bool fine = len >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && (line[7] == '0' || line[7] == '1') && line[8] == ' ';
    for (size_t i = 9; fine && i < 12; i++) fine = line[i] >= '0' && line[i] <= '9';
    if (!fine || (len > 12 && line[12] != ' ') || line[9] == '0') {
        a->fault = "the status line is malformed";
        return false;
    }
    a->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    a->stays = line[7] == '1';
    a->has_length = a->is_chunked = false;
    a->state = HTTP_ANSWER_AT_FIELD;
    return true;
}

static bool read_length(struct http_answer *a, const char *value, size_t len)
{
    uint64_t n = 0;
    bool fine = len > 0 && len <= 18;
    for (size_t i = 0; fine && i < len; i++) {
        fine = value[i] >= '0' && value[i] <= '9';
        n = n * 10 + (unsigned char)(value[i] - '0');
    }
    if (!fine)
        a->fault = "its Content-Length is not a number";
    else if (a->has_length && a->length != n)
        a->fault = "it has two different lengths";
    a->has_length = true;
    a->length = n;
    return !a->fault;
}

static bool is_name(const char *line, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(line, name, len) == 0;
}

static bool has_close(const char *value, size_t len)
{
    for (size_t i = 0, start = 0; i <= len; i++) {
        if (i < len && value[i] != ',' && value[i] != ' ' && value[i] != '\t') continue;
        if (is_name(value + start, i - start, "close")) return true;
        start = i + 1;
    }
    return false;
}

static bool read_field(struct http_answer *a, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (memchr(line, '\0', len) || !colon || colon == line || line[0] == ' ' || line[0] == '\t') {
        a->fault = "a header line is malformed";
        return false;
    }
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
    size_t size = (size_t)(end - value);
    if (is_name(line, name, "Content-Length")) return read_length(a, value, size);
    if (is_name(line, name, "Connection") && has_close(value, size)) a->stays = false;
    if (!is_name(line, name, "Transfer-Encoding")) return true;
    if (a->is_chunked || !is_name(value, size, "chunked")) a->fault = "its transfer coding is not chunked";
    a->is_chunked = true;
    return !a->fault;
}

static bool head_ends(struct http_answer *a)
{
    bool interim = a->status < 200;
    if (a->status == 101) a->fault = "it switches protocols";
    if (a->is_chunked && a->has_length) a->fault = "it has both a length and a transfer coding";
    if (interim)
        a->state = HTTP_ANSWER_AT_STATUS;
    else if (a->to_head || a->status == 204 || a->status == 304)
        a->state = HTTP_ANSWER_AT_END;
    else if (a->is_chunked)
        a->state = HTTP_ANSWER_AT_CHUNK_SIZE;
    else if (a->has_length)
        a->state = a->length ? HTTP_ANSWER_IN_BODY : HTTP_ANSWER_AT_END;
    else
        a->state = HTTP_ANSWER_IN_BODY_TO_CLOSE, a->stays = false;
    a->left = a->length;
    return !a->fault;
}

static bool read_head_line(struct http_answer *a, const char *line, size_t len)
{
    if (a->state == HTTP_ANSWER_AT_STATUS) return read_status(a, line, len);
    return len ? read_field(a, line, len) : head_ends(a);
}

/* Chunks. */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_chunk_size(struct http_answer *a, const char *line, size_t len)
{
    size_t n = 0;
    for (a->left = 0; n < len && n < 16 && hex_digit(line[n]) >= 0; n++)
        a->left = a->left << 4 | (unsigned)hex_digit(line[n]);
    size_t after = n;
    while (after < len && (line[after] == ' ' || line[after] == '\t')) after++;
    if (n == 0 || (after < len && line[after] != ';') || a->left >> 62) a->fault = "a chunk's size is malformed";
    a->state = a->left ? HTTP_ANSWER_IN_CHUNK : HTTP_ANSWER_AT_TRAILER;
    return !a->fault;
}

/* Reads a line that is not returned to the caller. */
static bool read_hidden_line(struct http_answer *a, const char *line, size_t len)
{
    if (a->state == HTTP_ANSWER_AT_CHUNK_SIZE) return read_chunk_size(a, line, len);
    if (a->state == HTTP_ANSWER_AT_TRAILER) {
        if (len == 0) a->state = HTTP_ANSWER_AT_END;
        return true;
    }
    if (len) a->fault = "a chunk is longer than its size";
    a->state = HTTP_ANSWER_AT_CHUNK_SIZE;
    return !a->fault;
}

static void read_body(struct http_answer *a, const char **at, size_t *left, const char **part, size_t *len)
{
    bool to_close = a->state == HTTP_ANSWER_IN_BODY_TO_CLOSE;
    *part = *at;
    *len = to_close || a->left > *left ? *left : (size_t)a->left;
    *at += *len;
    *left -= *len;
    if (to_close) return;
    a->left -= *len;
    if (a->left == 0) a->state = a->state == HTTP_ANSWER_IN_CHUNK ? HTTP_ANSWER_AT_CHUNK_END : HTTP_ANSWER_AT_END;
}

enum http_answer_part http_answer_next(struct http_answer *a, const char **at, size_t *left, const char **part,
                                       size_t *len)
{
    if (a->line_is_used) buf_clear(&a->line);
    a->line_is_used = false;
    while (!a->fault) {
        switch (a->state) {
        case HTTP_ANSWER_AT_END: return HTTP_ANSWER_END;
        case HTTP_ANSWER_IN_BODY:
        case HTTP_ANSWER_IN_BODY_TO_CLOSE:
        case HTTP_ANSWER_IN_CHUNK:
            if (*left == 0) return HTTP_ANSWER_NONE;
            read_body(a, at, left, part, len);
            return HTTP_ANSWER_BODY;
        case HTTP_ANSWER_AT_STATUS:
        case HTTP_ANSWER_AT_FIELD:
            if (!read_line(a, at, left, part, len)) return a->fault ? HTTP_ANSWER_FAULT : HTTP_ANSWER_NONE;
            if (read_head_line(a, *part, *len)) return HTTP_ANSWER_LINE;
            break;
        case HTTP_ANSWER_AT_CHUNK_SIZE:
        case HTTP_ANSWER_AT_CHUNK_END:
        case HTTP_ANSWER_AT_TRAILER:
            if (!read_line(a, at, left, part, len)) return a->fault ? HTTP_ANSWER_FAULT : HTTP_ANSWER_NONE;
            if (!read_hidden_line(a, *part, *len)) break;
            if (a->line_is_used) buf_clear(&a->line);
            a->line_is_used = false;
            break;
        }
    }
    return HTTP_ANSWER_FAULT;
}
