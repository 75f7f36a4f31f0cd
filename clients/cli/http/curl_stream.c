#include "cli/http/curl_stream.h"

#include <errno.h>

#include "cli/base/interrupt.h"
#include "common/base/buf.h"
#include "common/net/curl_library.h"

struct curl_stream {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
};

static bool load(char *err, size_t err_size)
{
    static bool ready;
    const char *why = curl_library_load();
    if (!why && !ready && libcurl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) why = "curl_global_init() failed";
    ready = !why;
    if (why) snprintf(err, err_size, "https needs libcurl, but it cannot be loaded: %s", why);
    return ready;
}

/* libcurl calls this while it connects. If the user has asked this program to end, returns true, so that libcurl gives
 * up. */
static int check_interrupt(void *data, curl_off_t download, curl_off_t downloaded, curl_off_t upload,
                           curl_off_t uploaded)
{
    return interrupt_signal() != 0;
}

/* Returns the name of the variable that makes curl use a proxy for https, or NULL. */
static const char *proxy_variable(void)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return names[i];
    }
    return NULL;
}

struct curl_stream *curl_stream_open(const struct target *t, int *fd, char *err, size_t err_size)
{
    curl_socket_t socket_fd = CURL_SOCKET_BAD;
    if (!load(err, err_size)) return NULL;
    struct curl_stream *s = xcalloc(1, sizeof(*s));
    CURL *curl = s->curl = libcurl.easy_init();
    if (!curl) BUG("curl_easy_init failed");
    libcurl.easy_setopt(curl, CURLOPT_URL, t->url);
    libcurl.easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    libcurl.easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    libcurl.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 15L);
    libcurl.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    libcurl.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, check_interrupt);
    libcurl.easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    libcurl.easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    libcurl.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, s->error);
    if (t->cacert) libcurl.easy_setopt(curl, CURLOPT_CAINFO, t->cacert);
    if (t->cert) libcurl.easy_setopt(curl, CURLOPT_SSLCERT, t->cert);
    if (t->cert) libcurl.easy_setopt(curl, CURLOPT_SSLKEY, t->key ? t->key : t->cert);
    CURLcode code = libcurl.easy_perform(curl);
    if (code == CURLE_OK) code = libcurl.easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket_fd);
    if (code != CURLE_OK || socket_fd == CURL_SOCKET_BAD) {
        const char *why = s->error[0] ? curl_stream_error(s) : libcurl.easy_strerror(code), *proxy = proxy_variable();
        if (code == CURLE_SSL_CACERT_BADFILE && t->cacert)
            snprintf(err, err_size, "--cacert: %s has an invalid certificate (%s)", t->cacert, why);
        else if (code == CURLE_SSL_CERTPROBLEM)
            snprintf(err, err_size, "cannot use --cert and --key: %s", why);
        else if (code == CURLE_COULDNT_CONNECT && proxy && !strstr(why, t->host))
            snprintf(err, err_size, "the proxy that %s names cannot be reached: %s", proxy, why);
        else
            snprintf(err, err_size, "%s", why);
        curl_stream_close(s);
        return NULL;
    }
    s->error[0] = '\0';
    *fd = (int)socket_fd;
    return s;
}

static ssize_t result(CURLcode code, size_t n)
{
    if (code == CURLE_OK) return (ssize_t)n;
    errno = code == CURLE_AGAIN ? EAGAIN : EIO;
    return -1;
}

ssize_t curl_stream_read(struct curl_stream *s, void *data, size_t size)
{
    size_t n = 0;
    CURLcode code = libcurl.easy_recv(s->curl, data, size, &n);
    return result(code, n);
}

ssize_t curl_stream_write(struct curl_stream *s, const void *data, size_t len)
{
    size_t n = 0;
    CURLcode code = libcurl.easy_send(s->curl, data, len, &n);
    return result(code, n);
}

/* With TLS 1.3 a server checks our certificate after the handshake, so its alert may come with the first read. */
const char *curl_stream_error(const struct curl_stream *s)
{
    static const char *const needs[] = {"certificate required", "handshake failure"};
    static const char *const rejects[] = {"unknown ca", "bad certificate", "certificate expired", "certificate revoked",
                                          "unsupported certificate"};
    const char *alert = strstr(s->error, "alert ");
    for (size_t i = 0; alert && i < ARRAY_SIZE(needs); i++)
        if (strstr(alert, needs[i])) return "the service requires a client certificate; give one with --cert and --key";
    for (size_t i = 0; alert && i < ARRAY_SIZE(rejects); i++)
        if (strstr(alert, rejects[i])) return "the service rejects the certificate of --cert";
    if (strstr(s->error, "wrong version number") || strstr(s->error, "packet length"))
        return "the service does not use TLS; perhaps its URL begins with http://";
    return s->error;
}

void curl_stream_close(struct curl_stream *s)
{
    if (!s) return;
    libcurl.easy_cleanup(s->curl);
    free(s);
}
