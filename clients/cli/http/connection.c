#include "cli/http/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/http/connection_internal.h"
#include "cli/http/curl_stream.h"
#include "common/net/unix_address.h"

#define READS_PER_STEP 4

void connection_move(struct connection *c, enum connection_state to)
{
    static const char *const names[] = {"closed",  "idle",    "connecting", "sending",
                                        "waiting", "reading", "done",       "broken"};
    static const unsigned before[] = {
        [CONNECTION_CLOSED] = ~0u,
        [CONNECTION_IDLE] = 1u << CONNECTION_DONE,
        [CONNECTION_CONNECTING] = 1u << CONNECTION_CLOSED | 1u << CONNECTION_CONNECTING,
        [CONNECTION_SENDING] =
            1u << CONNECTION_CLOSED | 1u << CONNECTION_CONNECTING | 1u << CONNECTION_IDLE | 1u << CONNECTION_WAITING,
        [CONNECTION_WAITING] = 1u << CONNECTION_SENDING,
        [CONNECTION_READING] = 1u << CONNECTION_SENDING | 1u << CONNECTION_WAITING,
        [CONNECTION_DONE] = 1u << CONNECTION_READING,
        [CONNECTION_BROKEN] = 1u << CONNECTION_CLOSED,
    };
    static_assert(ARRAY_SIZE(names) == CONNECTION_STATE_COUNT, "a name for each state");
    static_assert(ARRAY_SIZE(before) == CONNECTION_STATE_COUNT, "a row for each state");
    if (!(before[to] & 1u << c->state)) BUG("a connection: %s to %s", names[c->state], names[to]);
    c->state = to;
}

static void broken(struct connection *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void broken(struct connection *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->error, sizeof(c->error), fmt, args);
    va_end(args);
    connection_close(c);
    connection_move(c, CONNECTION_BROKEN);
}

void connection_init(struct connection *c, const struct target *target)
{
    *c = (struct connection){.target = target, .fd = -1};
}

void connection_close(struct connection *c)
{
    if (c->tls) {
        curl_stream_close(c->tls);
    } else if (c->fd >= 0 && c->state != CONNECTION_CLOSED) {
        close(c->fd);
    }
    c->tls = NULL;
    c->fd = -1;
    connection_move(c, CONNECTION_CLOSED);
}

void connection_release(struct connection *c)
{
    connection_close(c);
    buf_release(&c->head);
    buf_release(&c->answer);
    free(c->raw);
    c->raw = NULL;
}

static void set_socket_options(int fd)
{
    /* Except for TCP_NODELAY, these options serve to detect a dead host within about half a minute. */
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {IPPROTO_TCP, TCP_SYNCNT, 3},    {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 15}, {IPPROTO_TCP, TCP_KEEPINTVL, 5}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

/* Tries to connect to c->address. If that fails, tries the addresses after c->address. */
static void connect_next(struct connection *c, int error)
{
    for (; c->address; c->address = c->address->ai_next) {
        int fd = socket(c->address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        set_socket_options(fd);
        if (c->address->ai_family == AF_UNIX) unix_address_widen(fd);
        bool done = connect(fd, c->address->ai_addr, c->address->ai_addrlen) == 0;
        if (done || errno == EINPROGRESS) {
            c->fd = fd;
            connection_move(c, done ? CONNECTION_SENDING : CONNECTION_CONNECTING);
            return;
        }
        error = errno;
        close(fd);
    }
    broken(c, "cannot connect to %s: %s", c->target->url, strerror(error));
}

static void connect_now(struct connection *c)
{
    connection_close(c);
    c->raw_len = c->raw_at = 0;
    if (!c->target->tls) {
        c->address = c->target->addresses;
        connect_next(c, 0);
        return;
    }
    char why[200];
    c->tls = curl_stream_open(c->target, &c->fd, why, sizeof(why));
    if (c->tls)
        connection_move(c, CONNECTION_SENDING);
    else
        broken(c, "cannot connect to %s: %s", c->target->url, why);
}

static void connect_finish(struct connection *c)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0) {
        connection_move(c, CONNECTION_SENDING);
        return;
    }
    close(c->fd);
    c->fd = -1;
    c->address = c->address->ai_next;
    connect_next(c, error);
}

/* An idle connection is readable if the service has closed it. */
static bool can_reuse(const struct connection *c)
{
    struct pollfd fd = {.fd = c->fd, .events = POLLIN};
    return c->state == CONNECTION_IDLE && poll(&fd, 1, 0) == 0;
}

static void start(struct connection *c, const char *method, const char *path, const char *headers)
{
    const struct target *t = c->target;
    if (c->state == CONNECTION_DONE && !c->close_after && c->raw_at == c->raw_len) connection_move(c, CONNECTION_IDLE);
    bool reuse = can_reuse(c);
    buf_clear(&c->head);
    buf_addf(&c->head, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fantail/%s\r\n", method, t->prefix, path,
             t->authority, FANTAIL_VERSION);
    const char *token = target_token(t);
    if (token) buf_addf(&c->head, "Authorization: Bearer %s\r\n", token);
    buf_add_str(&c->head, headers);
    buf_clear(&c->answer);
    c->answer_at = 0;
    c->sent = 0;
    c->error[0] = '\0';
    connection_answer_begin(c);
    if (reuse)
        connection_move(c, CONNECTION_SENDING);
    else
        connect_now(c);
}

static size_t first_len(const struct connection *c)
{
    return c->first ? c->first->len : 0;
}

/* The first bytes of the body are sent together with the head. */
static void add_first(struct connection *c)
{
    if (first_len(c)) buf_add(&c->head, c->first->data, c->first->len);
}

void connection_request(struct connection *c, const char *method, const char *path_and_query, const char *headers,
                        const char *body, size_t len)
{
    c->body = body;
    c->body_len = len;
    c->uploading = false;
    start(c, method, path_and_query, headers);
    size_t all = len + first_len(c);
    if (all > 0 || strcmp(method, "GET") != 0) buf_addf(&c->head, "Content-Length: %zu\r\n", all);
    buf_add_str(&c->head, "\r\n");
    add_first(c);
    if (c->state == CONNECTION_SENDING) connection_step(c);
}

void connection_upload(struct connection *c, const char *method, const char *path_and_query, const char *headers,
                       int64_t length)
{
    c->body = NULL;
    c->body_len = 0;
    c->uploading = length != 0;
    c->upload_left = length;
    start(c, method, path_and_query, headers);
    if (length >= 0) {
        buf_addf(&c->head, "Content-Length: %lld\r\n\r\n", (long long)length + (long long)first_len(c));
        add_first(c);
        return;
    }
    /* The empty line that ends the head is not added here, because each piece begins with a CRLF: the CRLF of the first
     * piece is this empty line. */
    buf_add_str(&c->head, "Transfer-Encoding: chunked\r\n");
    if (first_len(c)) buf_addf(&c->head, "\r\n%zx\r\n", first_len(c));
    add_first(c);
}

bool connection_wants_piece(const struct connection *c)
{
    return c->uploading && c->state == CONNECTION_WAITING;
}

void connection_give_piece(struct connection *c, const char *data, size_t len)
{
    bool has_length = c->upload_left >= 0;
    buf_clear(&c->head);
    if (!has_length) buf_addf(&c->head, "\r\n%zx\r\n%s", len, len ? "" : "\r\n");
    if (has_length && len > (size_t)c->upload_left) len = (size_t)c->upload_left;
    if (has_length) c->upload_left -= (int64_t)len;
    c->body = data;
    c->body_len = len;
    c->sent = 0;
    c->uploading = has_length ? c->upload_left > 0 : len > 0;
    connection_move(c, CONNECTION_SENDING);
}

short connection_events(const struct connection *c)
{
    switch (c->state) {
    case CONNECTION_CONNECTING: return POLLOUT;
    case CONNECTION_SENDING: return POLLIN | POLLOUT;
    case CONNECTION_WAITING:
    case CONNECTION_READING: return POLLIN;
    default: return 0;
    }
}

static ssize_t send_some(struct connection *c)
{
    size_t head_sent = c->sent < c->head.len ? c->sent : c->head.len;
    size_t body_sent = c->sent - head_sent;
    struct iovec parts[2] = {
        {c->head.data + head_sent, c->head.len - head_sent},
        {(void *)(uintptr_t)(c->body + body_sent), c->body_len - body_sent},
    };
    if (c->tls) {
        const struct iovec *part = parts[0].iov_len ? &parts[0] : &parts[1];
        return curl_stream_write(c->tls, part->iov_base, part->iov_len);
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = c->body_len ? 2 : 1};
    return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

static void send_all(struct connection *c)
{
    size_t total = c->head.len + c->body_len;
    while (c->sent < total) {
        ssize_t n = send_some(c);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) {
            /* The service may have answered before it closed the connection. The answer gives the reason for the close.
             */
            connection_move(c, CONNECTION_WAITING);
            c->uploading = false;
            return;
        }
        c->sent += (size_t)n;
    }
    connection_move(c, CONNECTION_WAITING);
}

/* Most of a long answer is read directly into c->answer. The framing bytes after a chunk are read into c->raw in the
 * same call. Body bytes in c->raw must be copied to c->answer later. So during a long chunk, at most FRAMING bytes are
 * read into c->raw: enough for the next chunk's length. */
static ssize_t receive_some(struct connection *c)
{
    enum { LONG_CHUNK = 16 * 1024, FRAMING = 1024 };
    size_t room = 0, raw_room = CONNECTION_RAW_BYTES - c->raw_len;
    char *direct = connection_answer_room(c, &room);
    if (direct && room >= LONG_CHUNK) raw_room = FRAMING;
    struct iovec parts[2] = {{direct, room}, {c->raw + c->raw_len, raw_room}};
    ssize_t n;
    do {
        if (c->tls)
            n = direct ? curl_stream_read(c->tls, direct, room)
                       : curl_stream_read(c->tls, parts[1].iov_base, parts[1].iov_len);
        else
            n = readv(c->fd, direct ? parts : parts + 1, direct ? 2 : 1);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return n;
    size_t into_answer = direct ? ((size_t)n < room ? (size_t)n : room) : 0;
    c->raw_len += (size_t)n - into_answer;
    connection_answer_added(c, into_answer);
    return n;
}

static const char *why_lost(const struct connection *c)
{
    const char *why = c->tls ? curl_stream_error(c->tls) : "";
    return why[0] ? why : strerror(errno);
}

/* A TLS stream is read until it has no more bytes, because poll() does not report bytes that are already decrypted. */
static void receive(struct connection *c)
{
    for (int i = 0; i < READS_PER_STEP || c->tls; i++) {
        ssize_t n = receive_some(c);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (n == 0 && connection_answer_ended_by_close(c)) return;
            broken(c, "the connection to %s was lost: %s", c->target->url, n == 0 ? "closed" : why_lost(c));
            return;
        }
        if (!connection_answer_decode(c)) {
            broken(c, "%s %s", c->target->url, c->fault ? c->fault : "did not answer in HTTP/1.1");
            return;
        }
        if (c->state == CONNECTION_DONE) return;
        if (n < (ssize_t)CONNECTION_RAW_BYTES && !c->tls) return;
    }
}

void connection_step(struct connection *c)
{
    if (c->state == CONNECTION_CONNECTING) connect_finish(c);
    if (c->state == CONNECTION_SENDING) {
        struct pollfd fd = {.fd = c->fd, .events = POLLIN};
        send_all(c);
        /* An answer that arrives before the whole body has been sent is a refusal. The rest of the body is not sent. */
        if (c->state == CONNECTION_SENDING && poll(&fd, 1, 0) > 0 && (fd.revents & ~POLLOUT)) {
            receive(c);
            if (c->state != CONNECTION_SENDING) c->close_after = true;
        }
        return;
    }
    if (c->state == CONNECTION_WAITING || c->state == CONNECTION_READING) receive(c);
}

bool connection_run(struct connection *c, int silence_ms)
{
    while (c->state != CONNECTION_DONE && c->state != CONNECTION_BROKEN) {
        struct pollfd fd = {.fd = c->fd, .events = connection_events(c)};
        int ready = poll(&fd, 1, silence_ms);
        if (ready < 0 && errno != EINTR) return false;
        if (ready == 0)
            broken(c, "nothing came from %s for %g s", c->target->url, silence_ms / 1e3);
        else
            connection_step(c);
    }
    return c->state == CONNECTION_DONE;
}

bool connection_has_type(const struct connection *c, const char *type)
{
    size_t len = strlen(type);
    return strncasecmp(c->content_type, type, len) == 0 && strchr("; \t", c->content_type[len]);
}

void connection_say_quiet(const char *url)
{
    complain("%s has sent nothing for %d s; still waiting. If it is not a coordinator, correct --url", url,
             CONNECTION_QUIET_S);
}
