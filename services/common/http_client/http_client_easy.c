#include <strings.h>

#include "common/base/hash.h"
#include "common/http_client/http_client_internal.h"
#include "common/net/tls_material.h"
#include "common/net/unix_address.h"

#define DEFAULT_CONNECT_MS  2000
#define SHORT_ANSWER_BYTES  (16 * 1024)
#define SMALL_BODY_BYTES    (32 * 1024)
#define SPARE_BODY_BYTES    1024 /* kept for the next call */
#define SPARE_REQUEST_BYTES 4096
#define UPLOAD_LEAST_BYTES  (64 * 1024)
#define UPLOAD_MOST_BYTES   (1024 * 1024)

static long seconds(uint64_t ms)
{
    return (long)(ms < 1000 ? 1 : ms / 1000);
}

static void set_once(struct http_call *call)
{
    const struct http_client *c = call->client;
    CURL *easy = call->easy;
    uint64_t idle_ms = c->options.max_idle_connection_ms ? c->options.max_idle_connection_ms : HTTP_CLIENT_IDLE_MS;
    libcurl.easy_setopt(easy, CURLOPT_PRIVATE, call);
    libcurl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(easy, CURLOPT_PROXY, "");
    libcurl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    libcurl.easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    libcurl.easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    libcurl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, call_on_header);
    libcurl.easy_setopt(easy, CURLOPT_HEADERDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_write);
    libcurl.easy_setopt(easy, CURLOPT_WRITEDATA, call);
    /* curl cannot repeat a body that it reads with READFUNCTION, because SEEKFUNCTION is not set. curl gets a small
     * body as a whole (POSTFIELDS), and could repeat it. call_on_sending() prevents this unless call->may_repeat is
     * set. */
    libcurl.easy_setopt(easy, CURLOPT_READFUNCTION, call_on_read);
    libcurl.easy_setopt(easy, CURLOPT_READDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, call_on_sending);
    libcurl.easy_setopt(easy, CURLOPT_PREREQDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, client_open_socket);
    libcurl.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
    libcurl.easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, client_close_socket);
    libcurl.easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
    /* With a resumed session, curl would not check the certificate again, and would ignore a change of the
     * authorities. */
    libcurl.easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    libcurl.easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    libcurl.easy_setopt(easy, CURLOPT_MAXAGE_CONN, seconds(idle_ms));
    if (c->options.max_connection_age_ms)
        libcurl.easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, seconds(c->options.max_connection_age_ms));
}

struct http_call *call_new(struct http_client *c)
{
    struct http_call *call = xcalloc(1, sizeof *call);
    call->client = c;
    buf_init(&call->head, HTTP_CALL_HEAD_BYTES);
    buf_init(&call->small, SMALL_BODY_BYTES);
    return call;
}

static void need_easy(struct http_call *call)
{
    if (call->easy) return;
    client_need_curl(call->client);
    call->easy = libcurl.easy_init();
    if (!call->easy) BUG("curl has no memory for an easy handle");
    set_once(call);
}

static void free_lines(struct http_call *call)
{
    if (call->headers) libcurl.slist_free_all(call->headers);
    if (call->connect_to) libcurl.slist_free_all(call->connect_to);
    call->headers = call->connect_to = NULL;
}

void call_drop_easy(struct http_call *call)
{
    if (!call->easy) return; /* without a handle, there is no memory that its options refer to */
    libcurl.easy_cleanup(call->easy);
    free_lines(call);
    libcurl.url_cleanup(call->url);
    tls_material_unref(call->material);
    call->easy = NULL;
    call->url = NULL;
    call->pool = NULL;
    call->material = NULL;
    call->upload_bytes = call->receive_bytes = 0;
    buf_clear(&call->url_text);
}

void call_free(struct http_call *call)
{
    call_drop_easy(call);
    buf_release(&call->url_text);
    buf_release(&call->head);
    buf_release(&call->small);
    buf_release(&call->request);
    buf_release(&call->target);
    buf_release(&call->address);
    http_answer_release(&call->answer);
    free(call);
}

void call_clear(struct http_call *call)
{
    free_lines(call);
    if (call->small.alloc > SPARE_BODY_BYTES) buf_release(&call->small);
    if (call->request.alloc > SPARE_REQUEST_BYTES) buf_release(&call->request);
}

/* Appends a line after *tail, and moves *tail to the new line, so that appending does not walk the whole list. */
static void add_line(struct curl_slist **list, struct curl_slist **tail, const char *line)
{
    struct curl_slist *made = libcurl.slist_append(*tail, line);
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
    /* Without these header lines, curl would wait a second for "100 Continue", and send every body with the
     * Content-Type of form data. The Accept line is removed because no receiver needs it. */
    add_line(&call->headers, &tail, "Expect:");
    add_line(&call->headers, &tail, "Accept:");
    if (!has_type) add_line(&call->headers, &tail, "Content-Type:");
    libcurl.easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_method(struct http_call *call, const struct http_call_options *options)
{
    CURL *easy = call->easy;
    const char *method = options->method ? options->method : "GET";
    bool post = strcmp(method, "POST") == 0, body = options->body_bytes > 0;
    libcurl.easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    libcurl.easy_setopt(easy, CURLOPT_HTTPGET,
                        1L); /* this also resets the options NOBODY and POST of an earlier call */
    if (post || body) {
        libcurl.easy_setopt(easy, CURLOPT_POST, 1L);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body_bytes);
    } else if (strcmp(method, "HEAD") == 0) {
        libcurl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bool plain = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    libcurl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, (post || (plain && !body)) ? NULL : method);
    call->may_repeat = plain && !body;
}

/* curl keeps the buffer with the easy handle, so this function never shrinks the buffer. */
static void set_upload_buffer(struct http_call *call, int64_t body_bytes)
{
    if (body_bytes <= SMALL_BODY_BYTES) return;
    long want = body_bytes > UPLOAD_LEAST_BYTES ? UPLOAD_MOST_BYTES : UPLOAD_LEAST_BYTES;
    if (want <= call->upload_bytes) return;
    libcurl.easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, want);
    call->upload_bytes = want;
}

/* curl 7.88 allocates this buffer for every request. Allocating a large block takes longer than all other work for a
 * small request. */
static void set_receive_buffer(struct http_call *call, uint64_t answer_bytes)
{
    size_t most = call->client->options.receive_bytes ? call->client->options.receive_bytes : HTTP_CLIENT_RECEIVE_BYTES;
    bool is_short = answer_bytes > 0 && answer_bytes <= SHORT_ANSWER_BYTES && most > SHORT_ANSWER_BYTES;
    long want = is_short ? SHORT_ANSWER_BYTES : (long)most;
    if (want == call->receive_bytes) return;
    if (libcurl.easy_setopt(call->easy, CURLOPT_BUFFERSIZE, want) == CURLE_OK) call->receive_bytes = want;
}

/* curl keeps the idle connections of one host and port in one list, and asks the kernel about each of them whenever it
 * searches the list. The connections of all socket files would be in one list, so each socket file gets a host name of
 * its own. The Host header still comes from the URL. */
static void set_connect_to(struct http_call *call, const char *address, const char *path)
{
    char line[512];
    if (path)
        snprintf(line, sizeof line, "::%016llx.unix:80", (unsigned long long)hash_text(path));
    else if (address)
        snprintf(line, sizeof line, "::%s", address);
    if (address) call->connect_to = libcurl.slist_append(NULL, line);
    libcurl.easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
}

/* Gives curl the parsed URL. Without it, curl would parse the URL, build the text of the URL again, and copy this text.
 * If the handle's last call had the same URL, the parsed URL is used again. If the URL cannot be parsed, curl gets the
 * text of the URL, and then ends the call. */
static void set_url(struct http_call *call, const char *text)
{
    libcurl.easy_setopt(call->easy, CURLOPT_URL, text);
    if (call->url && strcmp(buf_cstr(&call->url_text), text) == 0) return;
    if (!call->url) call->url = libcurl.url();
    if (!call->url) BUG("curl has no memory for a URL");
    buf_clear(&call->url_text);
    bool ok =
        libcurl.url_set(call->url, CURLUPART_URL, text, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (ok) buf_add_str(&call->url_text, text);
    libcurl.easy_setopt(call->easy, CURLOPT_CURLU, ok ? call->url : NULL);
}

static void set_address(struct http_call *call, const struct http_call_options *options)
{
    const char *path = unix_address_path(options->connect_to);
    libcurl.easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, path);
    set_connect_to(call, options->connect_to, path);
    libcurl.easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, options->new_connection ? 1L : 0L);
    libcurl.easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
                        (long)(options->connect_timeout_ms ? options->connect_timeout_ms : DEFAULT_CONNECT_MS));
}

static void prepare_curl(struct http_call *call, const struct http_call_options *options)
{
    need_easy(call);
    if (call->close_after) libcurl.easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 0L);
    set_url(call, options->url);
    call_set_pool(call, options);
    set_address(call, options);
    call_set_tls(call);
    set_headers(call, options);
    set_method(call, options);
    set_upload_buffer(call, options->body_bytes);
    set_receive_buffer(call, options->answer_bytes);
}

void call_prepare(struct http_call *call, const struct http_call_options *options)
{
    call->options = *options;
    buf_clear(&call->head);
    buf_clear(&call->small);
    call->status = 0;
    call->sendings = 0;
    call->head_whole = call->closes = call->refused = false;
    call->turn_bytes = 0;
    call->error[0] = '\0';
    call->keeps_wire = call->reused = call->cannot_send = call->is_loaded = false;
    call->request_sent = 0;
    call->sent_bytes = 0;
    call->heard_ms = uv_now(call->client->loop);
    call->is_plain = call_write_request(call, options);
    if (!call->is_plain) prepare_curl(call, options);
    call->close_after = false;
}

void call_connect(struct http_call *call)
{
    call_drop_easy(call);
    need_easy(call);
    libcurl.easy_setopt(call->easy, CURLOPT_URL, call->options.url);
    libcurl.easy_setopt(call->easy, CURLOPT_CONNECT_ONLY, 1L);
    set_address(call, &call->options);
    call_add_to_curl(call);
}

bool call_load(struct http_call *call)
{
    size_t size = (size_t)call->options.body_bytes;
    if (call->options.body_bytes <= 0 || call->options.body_bytes > SMALL_BODY_BYTES) return true;
    if (!buf_reserve(&call->small, size)) BUG("there is no room for a body of %zu bytes", size);
    while (call->small.len < size) {
        size_t len = call->options.read(call->options.data, call->small.data + call->small.len, size - call->small.len);
        if (call_is_over(call)) return false;
        if (len == 0) BUG("a body ended before its %zu bytes", size);
        call->small.len += len;
    }
    libcurl.easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->small.data);
    return true;
}
