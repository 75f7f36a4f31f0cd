#include <strings.h>

#include "common/http_client/http_client_internal.h"
#include "common/loop/progress.h"

/* Records that bytes arrived, or that curl wants bytes to send. heard() also records that a callback of the call may be
 * about to run. */
static void heard(struct http_call *call)
{
    call->heard_ms = uv_now(call->client->loop);
    call->client->callback_ran = true;
    progress_note();
}

static bool has_token(const char *list, const char *token)
{
    size_t len = strlen(token);
    while (*list) {
        list += strspn(list, ", \t");
        size_t word = strcspn(list, ", \t");
        if (word == len && strncasecmp(list, token, len) == 0) return true;
        list += word;
    }
    return false;
}

static bool head_ends(struct http_call *call)
{
    if (call->status < 200) return true; /* an interim answer, such as "100 Continue"; the final head follows */
    call->head_whole = true;
    const char *connection = http_call_header(call, "Connection");
    call->closes = connection && has_token(connection, "close");
    if (call->options.on_head) call->options.on_head(call->options.data, call, call->status);
    return !call_is_over(call);
}

bool call_on_head_line(struct http_call *call, const char *line, size_t len)
{
    if (call_is_over(call)) return false;
    heard(call);
    if (call->head_whole) return true; /* a trailer */
    while (len && (line[len - 1] == '\r' || line[len - 1] == '\n')) len--;
    if (len == 0) return head_ends(call);
    if (len > 9 && memcmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', len);
        buf_clear(&call->head);
        call->status = space ? (int)strtol(space, NULL, 10) : 0;
        return true;
    }
    if (!buf_reserve(&call->head, len + 1)) {
        snprintf(call->error, sizeof call->error, "the answer's headers are larger than %d bytes",
                 HTTP_CALL_HEAD_BYTES);
        return false;
    }
    return buf_add(&call->head, line, len) && buf_add_char(&call->head, '\0');
}

size_t call_on_header(char *line, size_t size, size_t count, void *data)
{
    return call_on_head_line(data, line, size * count) ? size * count : 0;
}

bool call_on_piece(struct http_call *call, const char *bytes, size_t len)
{
    if (call_is_over(call)) return false;
    heard(call);
    if (call->options.on_body && !call->options.on_body(call->options.data, bytes, len)) {
        call->refused = true;
        return false;
    }
    if (call_is_over(call)) return false;
    /* For a call on a wire, the bytes are counted where they are read from the socket, because reading chunk lines and
     * trailers takes time as well. */
    if (!call->is_plain) call_count_bytes(call, len);
    return true;
}

size_t call_on_write(char *bytes, size_t size, size_t count, void *data)
{
    return call_on_piece(data, bytes, size * count) ? size * count : 0;
}

size_t call_on_read(char *dst, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    if (call_is_over(call)) return CURL_READFUNC_ABORT;
    heard(call);
    size_t len = call->options.read(call->options.data, dst, size * count);
    return call_is_over(call) ? CURL_READFUNC_ABORT : len;
}

/* curl repeats a request whose reused connection died before the answer. call_on_sending() prevents the repetition,
 * unless the request may be repeated. */
int call_on_sending(void *data, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    struct http_call *call = data;
    call->sendings++;
    return call->sendings > 1 && !call->may_repeat ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

const char *http_call_header(struct http_call *call, const char *name)
{
    size_t len = strlen(name);
    if (call->head.len == 0) return NULL;
    const char *line = call->head.data, *end = line + call->head.len;
    for (; line < end; line += strlen(line) + 1) {
        if ((line[0] ^ name[0]) & ~0x20) continue; /* the usual case: the first letters differ */
        if (strncasecmp(line, name, len) != 0 || line[len] != ':') continue;
        const char *value = line + len + 1;
        return value + strspn(value, " \t");
    }
    return NULL;
}

void http_call_close_after(struct http_call *call)
{
    call->close_after = true;
    if (!call->is_plain) libcurl.easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
}

bool http_call_connected(struct http_call *call)
{
    long made = 0;
    if (call->is_plain) return !call->reused;
    libcurl.easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &made);
    return made > 0;
}
