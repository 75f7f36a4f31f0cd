#include <stdlib.h>
#include <strings.h>

#include "common/http_client/http_client_internal.h"
#include "common/net/tls_material.h"
#include "common/net/unix_address.h"

#define DEFAULT_RECEIVE_BYTES (64 * 1024)
#define HEAD_BYTES            (64 * 1024)
#define SHORT_BYTES           (16 * 1024) /* a longer answer is read in turns ... */
#define TURN_BYTES            (64 * 1024) /* ... of so many bytes */
#define SMALL_BODY_BYTES      (32 * 1024)
#define UPLOAD_LEAST_BYTES    (64 * 1024)
#define UPLOAD_MOST_BYTES     (1024 * 1024)

/* Signs of life and data from curl. All run inside curl_multi_socket_action(). */

static bool is_over(const struct http_call *call)
{
    return call->state != CALL_RUNNING;
}

static void heard(struct http_call *call)
{
    call->heard_ms = uv_now(call->client->loop);
    call->client->told = true;
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
    if (call->status < 200) return true; /* "100 Continue" and the like: the real head follows */
    call->head_whole = true;
    const char *connection = http_call_header(call, "Connection");
    call->closes = connection && has_token(connection, "close");
    if (call->options.on_head) call->options.on_head(call->options.data, call, call->status);
    return !is_over(call);
}

static bool head_line(struct http_call *call, const char *line, size_t len)
{
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
        snprintf(call->error, sizeof call->error, "the answer's headers are larger than %d bytes", HEAD_BYTES);
        return false;
    }
    return buf_add(&call->head, line, len) && buf_add_char(&call->head, '\0');
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    if (is_over(call)) return 0;
    heard(call);
    return head_line(call, line, size * count) ? size * count : 0;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    if (is_over(call)) return 0;
    heard(call);
    if (call->options.on_body && !call->options.on_body(call->options.data, bytes, size * count)) {
        call->refused = true;
        return 0;
    }
    if (is_over(call)) return 0;
    call->turn_bytes += size * count;
    if (call->turn_bytes >= (call->bulk ? TURN_BYTES : SHORT_BYTES) && !call->held) client_hold(call);
    return size * count;
}

static size_t on_read(char *dst, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    if (is_over(call)) return CURL_READFUNC_ABORT;
    heard(call);
    size_t len = call->options.read(call->options.data, dst, size * count);
    return is_over(call) ? CURL_READFUNC_ABORT : len;
}

/* curl repeats a request whose reused connection died before the answer. Not with us: the second time it is refused. */
static int on_sending(void *data, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    struct http_call *call = data;
    call->sendings++;
    return call->sendings > 1 && !call->may_repeat ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

const char *http_call_header(struct http_call *call, const char *name)
{
    size_t len = strlen(name);
    const char *line = call->head.data, *end = line + call->head.len;
    for (; call->head.len && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, len) != 0 || line[len] != ':') continue;
        const char *value = line + len + 1;
        return value + strspn(value, " \t");
    }
    return NULL;
}

/* Dressing the easy handle. */

static long seconds(uint64_t ms)
{
    return (long)(ms < 1000 ? 1 : ms / 1000);
}

static void set_once(struct http_call *call)
{
    const struct http_client *c = call->client;
    CURL *easy = call->easy;
    size_t receive = c->options.receive_bytes ? c->options.receive_bytes : DEFAULT_RECEIVE_BYTES;
    uint64_t idle_ms = c->options.max_idle_connection_ms ? c->options.max_idle_connection_ms : 60000;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)receive);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    /* Without a SEEKFUNCTION a body that has begun cannot be repeated behind our back; PREREQ guards the small ones. */
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, client_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, client_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
    /* A resumed session would pass by the check of the certificate, and by a change of the authorities. */
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, seconds(idle_ms));
    if (c->options.max_connection_age_ms)
        curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, seconds(c->options.max_connection_age_ms));
}

struct http_call *call_new(struct http_client *c)
{
    struct http_call *call = xcalloc(1, sizeof *call);
    call->client = c;
    buf_init(&call->head, HEAD_BYTES);
    buf_init(&call->small, SMALL_BODY_BYTES);
    call->easy = curl_easy_init();
    if (!call->easy) BUG("curl has no memory for an easy handle");
    set_once(call);
    return call;
}

void call_free(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    call_clear(call);
    buf_release(&call->head);
    buf_release(&call->small);
    tls_material_unref(call->material);
    free(call);
}

void call_clear(struct http_call *call)
{
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    call->headers = call->connect_to = NULL;
}

/* Appends behind *tail and moves it, so that a list is not walked for every line. */
static void add_line(struct curl_slist **list, struct curl_slist **tail, const char *line)
{
    struct curl_slist *made = curl_slist_append(*tail, line);
    if (!made) BUG("curl has no memory for a header");
    if (!*list) *list = made;
    *tail = made->next ? made->next : made;
}

static void set_headers(struct http_call *call, const struct http_call_options *options)
{
    struct curl_slist *tail = NULL;
    bool has_type = false;
    for (const char *const *line = options->headers; line && *line; line++) {
        has_type = has_type || strncasecmp(*line, "content-type:", 13) == 0;
        add_line(&call->headers, &tail, *line);
    }
    /* curl would wait a second for "100 Continue", and call every body a form. */
    add_line(&call->headers, &tail, "Expect:");
    if (!has_type) add_line(&call->headers, &tail, "Content-Type:");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_method(struct http_call *call, const struct http_call_options *options)
{
    CURL *easy = call->easy;
    const char *method = options->method ? options->method : "GET";
    bool post = strcmp(method, "POST") == 0, body = options->body_bytes > 0;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* also undoes NOBODY and POST of an earlier call */
    if (post || body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body_bytes);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bool plain = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, (post || (plain && !body)) ? NULL : method);
    call->may_repeat = plain && !body;
}

/* The buffer is an allocation that curl keeps with the easy handle, so it grows but does not shrink. */
static void set_upload_buffer(struct http_call *call, int64_t body_bytes)
{
    if (body_bytes <= SMALL_BODY_BYTES) return;
    long want = body_bytes > UPLOAD_LEAST_BYTES ? UPLOAD_MOST_BYTES : UPLOAD_LEAST_BYTES;
    if (want <= call->upload_bytes) return;
    curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, want);
    call->upload_bytes = want;
}

void call_prepare(struct http_call *call, const struct http_call_options *options)
{
    call->options = *options;
    buf_clear(&call->head);
    buf_clear(&call->small);
    call->status = 0;
    call->sendings = 0;
    call->head_whole = call->closes = call->refused = call->bulk = false;
    call->turn_bytes = 0;
    call->error[0] = '\0';
    call->heard_ms = uv_now(call->client->loop);
    curl_easy_setopt(call->easy, CURLOPT_URL, options->url);
    const char *path = unix_address_path(options->connect_to);
    curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, path);
    if (options->connect_to && !path) {
        char line[512];
        snprintf(line, sizeof line, "::%s", options->connect_to);
        call->connect_to = curl_slist_append(NULL, line);
    }
    curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->connect_timeout_ms ? options->connect_timeout_ms : 2000));
    call_set_tls(call);
    set_headers(call, options);
    set_method(call, options);
    set_upload_buffer(call, options->body_bytes);
}

bool call_load(struct http_call *call)
{
    size_t size = (size_t)call->options.body_bytes;
    if (call->options.body_bytes <= 0 || call->options.body_bytes > SMALL_BODY_BYTES) return true;
    if (!buf_reserve(&call->small, size)) BUG("a small body of %zu bytes is too large", size);
    while (call->small.len < size) {
        size_t len = call->options.read(call->options.data, call->small.data + call->small.len, size - call->small.len);
        if (is_over(call)) return false;
        if (len == 0) BUG("a body ended before its %zu bytes", size);
        call->small.len += len;
    }
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->small.data);
    return true;
}

/* Judging the end. */

static void name_tls_fault(struct http_call *call, CURLcode code, struct http_call_result *r)
{
    r->tls_fault = call_tls_fault(call, code);
    if (!r->tls_fault) return;
    r->outcome = HTTP_CALL_NOT_CONNECTED;
    if (strcmp(r->tls_fault, "not_tls") == 0) r->reason = "what answers there speaks no TLS, perhaps plain http";
    snprintf(call->reason, sizeof call->reason, "TLS %s: %s", r->tls_fault, r->reason);
    r->reason = call->reason;
}

/* When a kept connection dies before the answer, curl makes another one to repeat the request: what becomes of that one
 * is not what became of the request. Nothing but a request on its way makes `sent`, and no connection is made for a
 * second time but for that. */
static bool kept_connection_died(const struct http_call *call, CURLcode code, long sent)
{
    if (call->may_repeat || sent == 0) return false;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_OPERATION_TIMEDOUT: /* of connecting: none is set for the rest */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: return true;
    case CURLE_ABORTED_BY_CALLBACK: return call->sendings > 1;
    default: return false;
    }
}

struct http_call_result call_judge(struct http_call *call, CURLcode code)
{
    long sent = 0;
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    struct http_call_result r = {
        .status = call->status, .sent_body = sent > 0, .closes = call->closes, .reason = call->error};
    if (kept_connection_died(call, code, sent)) {
        r.outcome = HTTP_CALL_LOST;
        r.reason = "the connection was lost after the request was sent, before the answer";
        return r;
    }
    if (!call->error[0]) r.reason = code == CURLE_OK ? "answered" : curl_easy_strerror(code);
    if (code == CURLE_OK)
        r.outcome = HTTP_CALL_OK;
    else if (call->refused) {
        r.outcome = HTTP_CALL_REFUSED_BY_US;
        r.reason = "the answer was refused";
    } else if (code == CURLE_OPERATION_TIMEDOUT)
        r.outcome = HTTP_CALL_TIMED_OUT;
    else
        r.outcome = sent > 0 ? HTTP_CALL_LOST : HTTP_CALL_NOT_CONNECTED;
    if (code != CURLE_OK && !call->refused) name_tls_fault(call, code, &r);
    return r;
}
