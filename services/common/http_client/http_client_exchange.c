/* Runs a call on a wire: sends the request, reads the answer. Unless its comment says otherwise, a function with the
 * result bool returns false if the call has ended or was cancelled. After that, the call must not be used again. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_client/http_client_internal.h"
#include "common/loop/progress.h"
#include "common/net/unix_address.h"

/* A large body is sent in pieces of this size, at most two in a turn of the loop. */
#define UPLOAD_BYTES (1024 * 1024)

/* Ends. */

static void end(struct http_call *call, enum http_call_outcome outcome, const char *reason)
{
    struct http_call_result result = {.outcome = outcome,
                                      .status = call->status,
                                      .sent_body = call->sent_bytes > 0,
                                      .closes = call->closes,
                                      .reason = reason};
    call_end(call, &result);
}

static void end_whole(struct http_call *call, size_t bytes_after)
{
    bool sent = call->request_sent == call->request.len && call->body_left <= 0 && !call->cannot_send;
    call->keeps_wire = sent && call->answer.stays && bytes_after == 0 && !call->close_after;
    end(call, HTTP_CALL_OK, "answered");
}

static void end_lost(struct http_call *call, int error)
{
    bool began = call->status != 0 || call->answer.head_bytes > 0;
    if (call->sent_bytes == 0) {
        end(call, HTTP_CALL_NOT_CONNECTED, error ? strerror(error) : "the connection was closed");
        return;
    }
    if (!began && call->reused && call->may_repeat) {
        exchange_connect(call);
        return;
    }
    snprintf(call->reason, sizeof call->reason, "%s%s%s",
             began ? "the connection was lost before the end of the answer"
                   : "the connection was lost after the request was sent, before the answer",
             error ? ": " : "", error ? strerror(error) : "");
    end(call, HTTP_CALL_LOST, call->reason);
}

static void end_faulty(struct http_call *call)
{
    snprintf(call->reason, sizeof call->reason, "the answer is not valid HTTP: %s", call->answer.fault);
    end(call, HTTP_CALL_LOST, call->reason);
}

/* Ends a call because its callback or our own check refused a part of the answer. */
static bool refuse(struct http_call *call)
{
    if (call_is_over(call)) return false;
    if (call->refused)
        end(call, HTTP_CALL_REFUSED_BY_US, "the answer was refused");
    else
        end(call, HTTP_CALL_LOST, call->error);
    return false;
}

/* Reading. */

static bool feed(struct http_call *call, const char *bytes, size_t left)
{
    const char *part;
    size_t len;
    for (;;) {
        switch (http_answer_next(&call->answer, &bytes, &left, &part, &len)) {
        case HTTP_ANSWER_NONE: return true;
        case HTTP_ANSWER_LINE:
            if (!call_on_head_line(call, part, len)) return refuse(call);
            break;
        case HTTP_ANSWER_BODY:
            if (!call_on_piece(call, part, len)) return refuse(call);
            break;
        case HTTP_ANSWER_END: end_whole(call, left); return false;
        case HTTP_ANSWER_FAULT: end_faulty(call); return false;
        }
    }
}

/* Calls recv() once. Sets *more to whether the socket may hold more bytes. */
static bool read_some(struct http_call *call, bool *more)
{
    struct http_client *c = call->client;
    size_t cap = c->options.receive_bytes ? c->options.receive_bytes : HTTP_CLIENT_RECEIVE_BYTES;
    if (!c->room) c->room = xmalloc(cap);
    ssize_t n = recv(call->wire->fd, c->room, cap, MSG_DONTWAIT);
    *more = n == (ssize_t)cap;
    if (n > 0) {
        progress_note();
        call->heard_ms = uv_now(c->loop);
        if (!feed(call, c->room, (size_t)n)) return false;
        call_count_bytes(call, (size_t)n);
        return true;
    }
    int error = n < 0 ? errno : 0;
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return true;
    if (n == 0 && http_answer_ends_here(&call->answer))
        end_whole(call, 0);
    else
        end_lost(call, error);
    return false;
}

/* Reads until the socket is empty, or until the turn of the call is over. */
static bool read_all(struct http_call *call)
{
    enum call_flow flow = call->flow;
    bool more = true;
    while (more && call->flow == flow)
        if (!read_some(call, &more)) return false;
    return true;
}

void exchange_read_turn(struct http_call *call)
{
    struct http_client *c = call->client;
    c->busy++;
    if (!call_is_over(call) && read_all(call))
        wire_watch(call->wire, UV_READABLE | (call->wire->watched & UV_WRITABLE));
    c->busy--;
    client_settle(c);
}

/* Sending. */

/* Appends the next piece of the body to the buffer. */
static bool load(struct http_call *call)
{
    struct buf *b = &call->request;
    size_t want = call->body_left < UPLOAD_BYTES ? (size_t)call->body_left : UPLOAD_BYTES;
    call->is_loaded = true;
    if (!buf_reserve(b, want)) BUG("there is no room for %zu bytes of a body", want);
    while (want > 0) {
        size_t n = call->options.read(call->options.data, b->data + b->len, want);
        if (call_is_over(call)) return false;
        if (n == 0) BUG("a body ended %zu bytes too soon", (size_t)call->body_left);
        b->len += n;
        want -= n;
        call->body_left -= (int64_t)n;
    }
    return true;
}

/* Sends the content of the buffer. Returns false when the socket takes no more bytes. */
static bool push(struct http_call *call)
{
    const struct buf *b = &call->request;
    while (call->request_sent < b->len) {
        ssize_t n = send(call->wire->fd, b->data + call->request_sent, b->len - call->request_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            call->cannot_send = errno != EAGAIN && errno != EWOULDBLOCK;
            return false;
        }
        call->request_sent += (size_t)n;
        call->sent_bytes += (uint64_t)n;
        progress_note();
        call->heard_ms = uv_now(call->client->loop);
    }
    return true;
}

/* If not even one byte could be sent on a kept wire, its peer is gone, and the request may be sent on another wire. In
 * all other cases, the peer may have answered before it stopped reading, so the answer is read to its end. */
static bool sending_failed(struct http_call *call)
{
    if (call->reused && call->sent_bytes == 0) {
        wire_close(call->wire);
        call->wire = NULL;
        exchange_begin(call);
        return false;
    }
    wire_watch(call->wire, UV_READABLE);
    return true;
}

static bool send_some(struct http_call *call)
{
    for (int pieces = 0; pieces < 2; pieces++) {
        if (call->request_sent > 0 && call->request_sent == call->request.len && call->body_left > 0) {
            buf_clear(&call->request);
            call->request_sent = 0;
            call->is_loaded = false;
        }
        if (!call->is_loaded && call->body_left > 0 && !load(call)) return false;
        if (!push(call)) break;
        if (call->body_left <= 0) {
            wire_watch(call->wire, UV_READABLE);
            return true;
        }
    }
    if (call->cannot_send) return sending_failed(call);
    wire_watch(call->wire, UV_READABLE | UV_WRITABLE);
    return true;
}

void exchange_on_events(struct http_call *call, int events)
{
    struct http_client *c = call->client;
    struct http_wire *w = call->wire;
    bool queues = call->flow == CALL_FLOW_READY, goes_on = true;
    c->busy++;
    if (events & UV_WRITABLE) goes_on = send_some(call);
    if (goes_on && events & UV_READABLE && !queues) {
        if (call->flow == CALL_FLOW_SHORT)
            goes_on = read_all(call);
        else
            call_move_flow(call, CALL_FLOW_READY);
    }
    if (goes_on && !call_is_over(call) && w->watched == 0) wire_watch(w, UV_READABLE);
    c->busy--;
    client_settle(c);
}

/* Beginnings. */

static void use_wire(struct http_call *call, struct http_wire *w, bool reused)
{
    call->wire = w;
    w->call = call;
    call->reused = reused;
    call->cannot_send = false;
    http_answer_begin(&call->answer, call->is_head);
    send_some(call);
}

void exchange_begin(struct http_call *call)
{
    struct http_wire *w = call->options.new_connection ? NULL : wire_take(call);
    if (w)
        use_wire(call, w, true);
    else
        exchange_connect(call);
}

/* Sends the request on a new socket. If fd is below 0, `error` says why there is no socket. */
static void use_socket(struct http_call *call, int fd, int error)
{
    struct http_wire *w = fd < 0 ? NULL : wire_new(call, fd);
    if (w) {
        use_wire(call, w, false);
        return;
    }
    if (fd >= 0) close(fd);
    end(call, HTTP_CALL_NOT_CONNECTED, fd < 0 ? strerror(error) : "the loop does not take the socket");
}

void exchange_connect(struct http_call *call)
{
    const char *path = unix_address_path(call->options.connect_to);
    if (call->wire) wire_close(call->wire);
    call->wire = NULL;
    call->request_sent = 0;
    call->sent_bytes = 0;
    if (!path) {
        call_connect(call);
        return;
    }
    int fd = unix_address_connect(path), error = errno;
    use_socket(call, fd, error);
}

void exchange_connected(struct http_call *call)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    libcurl.easy_getinfo(call->easy, CURLINFO_ACTIVESOCKET, &socket);
    int fd = socket == CURL_SOCKET_BAD ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0), error = errno;
    call_drop_easy(call);
    use_socket(call, fd, error);
}
