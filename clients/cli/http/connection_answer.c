#include "cli/http/connection_internal.h"

#include <strings.h>

#include "protocol/protocol.h"

enum framing {
    IN_HEAD,
    IN_SIZE,    /* in the line with a chunk's length */
    IN_DATA,    /* in a chunk or the body, of which `remaining` bytes are left */
    AFTER_DATA, /* before the line break after a chunk */
    IN_TRAILER,
    UNTIL_CLOSE
};

#define ANSWER_CAP ((size_t)1 << 31)
/* The maximum number of interim answers and trailers. Without this limit, a service could send interim answers or
 * trailers for ever. */
#define EXTRAS_MAX 64

void connection_answer_begin(struct connection *c)
{
    c->framing = IN_HEAD;
    c->status = 0;
    c->content_type[0] = '\0';
    c->retry_after_s = -1;
    c->job_was_accepted = false;
    c->close_after = c->chunked = false;
    c->remaining = 0;
    if (!c->raw) c->raw = xmalloc(CONNECTION_RAW_BYTES);
    c->async_applied = false;
    c->answer.cap = c->answer_max ? c->answer_max : ANSWER_CAP;
    c->extras = 0;
    c->fault = NULL;
}

/* Drops the bytes that the owner has consumed. */
static void make_room(struct connection *c)
{
    if (c->answer_at == 0) return;
    buf_drop_front(&c->answer, c->answer_at);
    c->answer_at = 0;
}

char *connection_answer_room(struct connection *c, size_t *room)
{
    if ((c->framing != IN_DATA && c->framing != UNTIL_CLOSE) || c->raw_at < c->raw_len) return NULL;
    make_room(c);
    size_t want = c->framing == IN_DATA && c->remaining < CONNECTION_DIRECT_BYTES ? (size_t)c->remaining
                                                                                  : CONNECTION_DIRECT_BYTES;
    if (want == 0 || !buf_reserve(&c->answer, want)) return NULL;
    *room = want;
    return c->answer.data + c->answer.len;
}

static void body_bytes_came(struct connection *c, size_t len)
{
    if (c->framing != IN_DATA) return;
    c->remaining -= len;
    if (c->remaining > 0) return;
    if (c->chunked)
        c->framing = AFTER_DATA;
    else
        connection_move(c, CONNECTION_DONE);
}

void connection_answer_added(struct connection *c, size_t len)
{
    if (len == 0) return;
    c->answer.len += len;
    body_bytes_came(c, len);
}

static void read_header(struct connection *c, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon) return;
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (strcasecmp(line, "Content-Length") == 0) {
        c->remaining = strtoull(value, NULL, 10);
        c->framing = IN_DATA;
    } else if (strcasecmp(line, "Preference-Applied") == 0) {
        c->async_applied |= strcasestr(value, "respond-async") != NULL;
    } else if (strcasecmp(line, "Transfer-Encoding") == 0) {
        c->chunked = strcasestr(value, "chunked") != NULL;
    } else if (strcasecmp(line, "Connection") == 0) {
        c->close_after |= strcasestr(value, "close") != NULL;
    } else if (strcasecmp(line, "Content-Type") == 0) {
        snprintf(c->content_type, sizeof(c->content_type), "%s", value);
    } else if (strcasecmp(line, HEADER_JOB) == 0) {
        c->job_was_accepted = true;
    } else if (strcasecmp(line, "Retry-After") == 0 && *value >= '0' && *value <= '9') {
        c->retry_after_s = strtod(value, NULL);
    }
}

static bool count_extra(struct connection *c)
{
    if (++c->extras <= EXTRAS_MAX) return true;
    c->fault = "sent too many interim answers or trailers";
    return false;
}

/* Parses a whole head, which is NUL-terminated and has no empty line at its end. */
static bool read_head(struct connection *c, char *head)
{
    char *at = head, *line;
    line = strsep(&at, "\n");
    if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ') return false;
    c->status = (int)strtol(line + 9, NULL, 10);
    if (c->status < 100 || c->status > 999) return false;
    c->framing = UNTIL_CLOSE;
    c->close_after |= line[7] == '0';
    while ((line = strsep(&at, "\n"))) {
        line[strcspn(line, "\r")] = '\0';
        read_header(c, line);
    }
    if (c->status < 200) {
        c->framing = IN_HEAD; /* this was an interim answer, such as 100 Continue; the final answer follows */
        c->status = 0;
        return count_extra(c);
    }
    c->uploading = false;
    connection_move(c, CONNECTION_READING);
    if (c->chunked)
        c->framing = IN_SIZE;
    else if (c->status == 204 || (c->framing == IN_DATA && c->remaining == 0))
        connection_move(c, CONNECTION_DONE);
    return true;
}

/* Returns the next line of c->raw, NUL-terminated and without its line break. Returns NULL while the line is
 * incomplete. */
static char *read_line(struct connection *c)
{
    char *line = c->raw + c->raw_at;
    char *end = memchr(line, '\n', c->raw_len - c->raw_at);
    if (!end) return NULL;
    c->raw_at = (size_t)(end + 1 - c->raw);
    *end = '\0';
    if (end > line && end[-1] == '\r') end[-1] = '\0';
    return line;
}

static bool read_chunk_size(struct connection *c)
{
    char *line = read_line(c), *end;
    if (!line) return true;
    c->remaining = strtoull(line, &end, 16);
    c->framing = c->remaining ? IN_DATA : IN_TRAILER;
    return end > line && (*end == '\0' || *end == ';' || *end == ' ');
}

static bool read_data(struct connection *c)
{
    size_t have = c->raw_len - c->raw_at;
    size_t n = c->framing == IN_DATA && c->remaining < have ? (size_t)c->remaining : have;
    make_room(c);
    if (!buf_add(&c->answer, c->raw + c->raw_at, n)) {
        c->fault = "sent a line or a document that is too long";
        return false;
    }
    c->raw_at += n;
    body_bytes_came(c, n);
    return true;
}

static bool find_head(struct connection *c)
{
    char *start = c->raw + c->raw_at;
    static const char version[] = "HTTP/1.";
    size_t have = c->raw_len - c->raw_at, n = have < sizeof version - 1 ? have : sizeof version - 1;
    char *end = memmem(start, have, "\r\n\r\n", 4);
    if (!end) return memcmp(start, version, n) == 0; /* another service may send a greeting and then wait */
    *end = '\0';
    c->raw_at = (size_t)(end + 4 - c->raw);
    return read_head(c, start);
}

/* Reads one element of the framing. Returns false if the element is not HTTP. */
static bool read_element(struct connection *c)
{
    char *line;
    switch ((enum framing)c->framing) {
    case IN_HEAD: return find_head(c);
    case IN_SIZE: return read_chunk_size(c);
    case IN_DATA:
    case UNTIL_CLOSE: return read_data(c);
    case AFTER_DATA:
        line = read_line(c);
        if (line) c->framing = IN_SIZE;
        return !line || *line == '\0';
    case IN_TRAILER:
        line = read_line(c);
        if (line && *line == '\0') connection_move(c, CONNECTION_DONE);
        return !line || count_extra(c);
    }
    return false;
}

bool connection_answer_decode(struct connection *c)
{
    while (c->raw_at < c->raw_len && c->state != CONNECTION_DONE) {
        size_t before = c->raw_at;
        if (!read_element(c)) return false;
        if (c->raw_at == before) break;
    }
    /* The remaining bytes are the start of a line or of a head. Move them to the front of the buffer, so that the rest
     * can be read after them. */
    c->raw_len -= c->raw_at;
    memmove(c->raw, c->raw + c->raw_at, c->raw_len);
    c->raw_at = 0;
    return c->raw_len < CONNECTION_RAW_BYTES;
}

bool connection_answer_ended_by_close(struct connection *c)
{
    if (c->framing != UNTIL_CLOSE) return false;
    connection_move(c, CONNECTION_DONE);
    c->close_after = true;
    return true;
}
