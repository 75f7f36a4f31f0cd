/*
 * TLS of the server's connections. libmicrohttpd makes the sessions and moves the bytes. This file gives each new
 * session the current credentials, because the library itself would use one certificate for as long as it runs. This
 * file also verifies the client's certificate, and reports failures to the peer and to the log. Bytes that the server
 * writes without the library also pass through the session.
 *
 * The library reads through our function pull(), for three reasons. The library's log does not name a connection, but
 * pull() knows which connection was read last. pull() detects a client that speaks plain HTTP to this port, and sends
 * an answer that this client can read. pull() also suspends a connection whose handshake waits for bytes or for a later
 * turn of the loop. Without the suspension, the library would try to read all the time.
 */
#include <errno.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/http_server/http_server_internal.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

static const char *const fault_names[] = {
    [HTTP_TLS_FAULT_NO_CERTIFICATE] = "no_client_certificate",
    [HTTP_TLS_FAULT_BAD_CERTIFICATE] = "bad_client_certificate",
    [HTTP_TLS_FAULT_PLAIN] = "plain_http",
    [HTTP_TLS_FAULT_REFUSED_BY_CLIENT] = "refused_by_client",
    [HTTP_TLS_FAULT_TOO_SLOW] = "too_slow",
    [HTTP_TLS_FAULT_OTHER] = "other",
};
static_assert(ARRAY_SIZE(fault_names) == HTTP_TLS_FAULT_COUNT, "every fault has a name");

static const char *const state_names[] = {
    [HTTP_TLS_SILENT] = "silent",
    [HTTP_TLS_HANDSHAKE] = "handshake",
    [HTTP_TLS_KNOWN] = "known",
    [HTTP_TLS_FAILED] = "failed",
};
static_assert(ARRAY_SIZE(state_names) == HTTP_TLS_STATE_COUNT, "every state has a name");

static const char *const flow_names[] = {
    [HTTP_TLS_RUNS] = "runs",
    [HTTP_TLS_WAITS] = "waits",
    [HTTP_TLS_PARKED] = "parked",
};
static_assert(ARRAY_SIZE(flow_names) == HTTP_TLS_FLOW_COUNT, "every flow has a name");

/* A handshake takes up to several milliseconds of processor time. When a turn has lasted for HANDSHAKES_NS, the
 * remaining handshakes wait for a later turn. A turn resumes at most UNPARK_MAX parked handshakes, because otherwise a
 * turn with thousands of them might only resume and park them. */
#define HANDSHAKES_NS (2 * NS_PER_MS)
#define UNPARK_MAX    16

static void tls_move(struct http_connection *c, enum http_tls_state to)
{
    log_debug("connection tls moved", LOG_I64("fd", c->fd), LOG_STR("from", state_names[c->tls_state]),
              LOG_STR("to", state_names[to]));
    c->tls_state = to;
}

/* Limits the log lines per minute, so that no client can fill the log. */
static bool may_log(struct http_tls *t, uint64_t now_ms)
{
    if (now_ms - t->log_since_ms >= 60000) {
        if (t->unlogged) log_warn("more TLS handshakes failed", LOG_U64("count", t->unlogged));
        t->log_since_ms = now_ms;
        t->logged = 0;
        t->unlogged = 0;
    }
    if (t->logged < LIMIT_TLS_LOG_LINES) return ++t->logged;
    t->unlogged++;
    return false;
}

static void name_peer(const struct http_connection *c, char *name, size_t size)
{
    const struct sockaddr *a = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    socklen_t len = a->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char host[64], port[8];
    name[0] = '\0';
    if (getnameinfo(a, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(name, size, a->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* Counts and logs the first fault of a connection. */
static void fail(struct http_connection *c, enum http_tls_fault fault, const char *detail)
{
    struct http_tls *t = &c->server->tls;
    char peer[80];
    if (c->tls_state == HTTP_TLS_FAILED) return;
    tls_move(c, HTTP_TLS_FAILED);
    ++*t->failures[fault];
    if (!may_log(t, uv_now(c->server->loop))) return;
    name_peer(c, peer, sizeof peer);
    log_warn("TLS handshake failed", LOG_STR("reason", fault_names[fault]), LOG_STR("detail", detail),
             LOG_STR("peer", peer));
}

static gnutls_alert_description_t alert_for(unsigned status)
{
    if (status & GNUTLS_CERT_EXPIRED) return GNUTLS_A_CERTIFICATE_EXPIRED;
    if (status & GNUTLS_CERT_REVOKED) return GNUTLS_A_CERTIFICATE_REVOKED;
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) return GNUTLS_A_UNKNOWN_CA;
    return GNUTLS_A_BAD_CERTIFICATE;
}

/* Writes a text such as "CN=someone: The certificate issuer is unknown." */
static void describe(gnutls_session_t session, unsigned status, char *text, size_t size)
{
    const gnutls_datum_t *der = gnutls_certificate_get_peers(session, NULL);
    gnutls_datum_t words = {0};
    gnutls_x509_crt_t crt;
    char subject[256] = "";
    size_t len = sizeof subject;
    if (der && gnutls_x509_crt_init(&crt) == 0) {
        if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) == 0) gnutls_x509_crt_get_dn(crt, subject, &len);
        gnutls_x509_crt_deinit(crt);
    }
    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0);
    snprintf(text, size, "%s: %s", subject, words.data ? (const char *)words.data : "not accepted");
    gnutls_free(words.data);
}

static struct http_connection *connection_of(gnutls_session_t session)
{
    gnutls_transport_ptr_t from, to;
    gnutls_transport_get_ptr2(session, &from, &to);
    return from;
}

static int refuse(struct http_connection *c, enum http_tls_fault fault, gnutls_alert_description_t alert,
                  const char *detail)
{
    fail(c, fault, detail);
    c->lingers = true; /* the client may be sending its first request */
    gnutls_alert_send(c->tls, GNUTLS_AL_FATAL, alert);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

/* GnuTLS calls this function during the handshake. GnuTLS is configured to request a certificate, not to require one:
 * if a certificate were required, GnuTLS would close the connection without an alert. */
static int verify_client(gnutls_session_t session)
{
    struct http_connection *c = connection_of(session);
    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
                                     0};
    unsigned status = 0;
    char text[512];
    if (!gnutls_certificate_get_peers(session, NULL)) {
        bool newest = gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3;
        return refuse(c, HTTP_TLS_FAULT_NO_CERTIFICATE,
                      newest ? GNUTLS_A_CERTIFICATE_REQUIRED : GNUTLS_A_HANDSHAKE_FAILURE,
                      "the client sent no certificate");
    }
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0) status |= GNUTLS_CERT_INVALID;
    if (status == 0) {
        tls_move(c, HTTP_TLS_KNOWN);
        return 0;
    }
    describe(session, status, text, sizeof text);
    return refuse(c, HTTP_TLS_FAULT_BAD_CERTIFICATE, alert_for(status), text);
}

bool http_tls_admits(const struct http_connection *c)
{
    return !c->tls || c->tls_state == HTTP_TLS_KNOWN || c->material->pem[TLS_CA].len == 0;
}

/* Reading. */

/* The first byte of a record is its type (RFC 8446, 5.1). The header of a record has RECORD_HEAD bytes. */
enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_HEAD = 5 };

/* Checks the start of a record, before the first request. Returns false when the peer does not speak TLS. Stores an
 * unencrypted alert, because some clients refuse our certificate with such an alert, and GnuTLS does not report such
 * alerts. */
static bool check_record(struct http_connection *c)
{
    unsigned char record[RECORD_HEAD + 2];
    ssize_t n = recv(c->fd, record, sizeof record, MSG_PEEK | MSG_DONTWAIT);
    bool first = c->tls_state == HTTP_TLS_SILENT;
    if (n <= 0) return true;
    if (first) tls_move(c, HTTP_TLS_HANDSHAKE);
    if (n == sizeof record && record[0] == RECORD_ALERT && record[3] == 0 && record[4] == 2) c->tls_alert = record[6];
    return !first || record[0] == RECORD_HANDSHAKE;
}

static void answer_plain(struct http_connection *c)
{
    static const char answer[] = "HTTP/1.1 426 Upgrade Required\r\nContent-Type: application/problem+json\r\n"
                                 "Upgrade: TLS/1.2\r\nConnection: Upgrade, close\r\n\r\n"
                                 "{\"type\":\"about:blank\",\"title\":\"Upgrade Required\",\"status\":426,"
                                 "\"detail\":\"this port accepts only https\"}\n";
    char dropped[4096];
    fail(c, HTTP_TLS_FAULT_PLAIN, "the first bytes are not TLS");
    if (send(c->fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
    shutdown(c->fd, SHUT_WR);
    /* Closing a socket with unread bytes would send a reset, and the reset could overtake the answer. */
    while (recv(c->fd, dropped, sizeof dropped, MSG_DONTWAIT) == sizeof dropped) {
    }
}

/* Returns whether no request has begun yet on this connection. */
static bool is_arriving(const struct http_connection *c)
{
    return !c->used && !c->exchange;
}

static void move_flow(struct http_connection *c, enum http_tls_flow to)
{
    log_debug("connection tls flow moved", LOG_I64("fd", c->fd), LOG_STR("from", flow_names[c->tls_flow]),
              LOG_STR("to", flow_names[to]));
    if (c->tls_flow == HTTP_TLS_PARKED) list_remove(&c->server->tls.parked, &c->tls_link);
    if (to == HTTP_TLS_PARKED) list_push_back(&c->server->tls.parked, &c->tls_link);
    c->tls_flow = to;
}

static void wait_for_bytes(struct http_connection *c)
{
    MHD_suspend_connection(c->mhd);
    move_flow(c, HTTP_TLS_WAITS);
}

void http_tls_continue(struct http_connection *c)
{
    if (c->tls_flow != HTTP_TLS_WAITS) return;
    move_flow(c, HTTP_TLS_RUNS);
    MHD_resume_connection(c->mhd);
    http_server_want_turn(c->server);
}

/* Parks the connection if the turn has lasted long. The first record of a turn is always read, so that the handshakes
 * make progress even if other requests make each turn long. */
static bool park(struct http_connection *c)
{
    struct http_server *s = c->server;
    if (s->tls.handshake_turn != s->turn || !s->in_turn || c->state != HTTP_CONNECTION_OPEN) return false;
    if (uv_hrtime() - s->turn_ns < HANDSHAKES_NS) return false;
    MHD_suspend_connection(c->mhd);
    move_flow(c, HTTP_TLS_PARKED);
    return true;
}

void http_tls_unpark(struct http_server *s)
{
    for (int i = 0; i < UNPARK_MAX; i++) {
        struct list_link *first = list_next(&s->tls.parked, NULL);
        if (!first) break;
        struct http_connection *c = CONTAINER_OF(first, struct http_connection, tls_link);
        move_flow(c, HTTP_TLS_RUNS);
        MHD_resume_connection(c->mhd);
    }
}

static ssize_t pull(gnutls_transport_ptr_t from, void *data, size_t size)
{
    struct http_connection *c = from;
    bool arriving = is_arriving(c), begins_record = arriving && size == RECORD_HEAD;
    c->server->current = c;
    if (begins_record && park(c)) {
        gnutls_transport_set_errno(c->tls, EAGAIN);
        return -1;
    }
    if (begins_record && !check_record(c)) {
        answer_plain(c);
        return 0;
    }
    ssize_t n = recv(c->fd, data, size, 0);
    if (n < 0) gnutls_transport_set_errno(c->tls, errno);
    if (n < 0 && errno == EAGAIN && arriving) wait_for_bytes(c);
    if (n > 0 && begins_record) c->server->tls.handshake_turn = c->server->turn;
    if (n == 0) c->tls_ended = true;
    return n;
}

/* Called when the library has logged that a handshake failed. The library then closes the connection. */
void http_tls_handshake_failed(struct http_server *s)
{
    struct http_connection *c = s->current;
    if (!c || c->used || c->tls_state == HTTP_TLS_FAILED) return;
    gnutls_alert_description_t alert = gnutls_alert_get(c->tls);
    if (alert == GNUTLS_A_CLOSE_NOTIFY) alert = (gnutls_alert_description_t)c->tls_alert;
    if (alert != GNUTLS_A_CLOSE_NOTIFY) {
        fail(c, HTTP_TLS_FAULT_REFUSED_BY_CLIENT, gnutls_alert_get_name(alert));
    } else if (c->state == HTTP_CONNECTION_CUT) {
        fail(c, HTTP_TLS_FAULT_TOO_SLOW, "the handshake took too long");
    } else if (c->tls_ended) {
        /* Port scanners and health checks of load balancers close their connections in this way. */
        log_debug("a connection ended before its TLS handshake did");
    } else {
        gnutls_alert_send(c->tls, GNUTLS_AL_FATAL, GNUTLS_A_HANDSHAKE_FAILURE);
        fail(c, HTTP_TLS_FAULT_OTHER, "no protocol version or cipher in common, or broken messages");
    }
}

/* Writes like send(), without blocking. Returns false when the peer has certainly closed. */
bool http_connection_send(struct http_connection *c, const char *data, size_t len)
{
    if (!c->tls) return send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
    ssize_t n = gnutls_record_send(c->tls, data, len);
    return n >= 0 || !gnutls_error_is_fatal((int)n);
}

void http_tls_bye(struct http_connection *c)
{
    if (c->tls && !c->tls_ended) gnutls_bye(c->tls, GNUTLS_SHUT_WR);
}

uint32_t http_tls_open(struct http_connection *c)
{
    struct http_server *s = c->server;
    if (!s->options.tls) return 0;
    c->tls = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
    c->material = tls_material_ref(s->options.tls->current);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->material->credentials);
    gnutls_transport_set_ptr2(c->tls, c, (gnutls_transport_ptr_t)(intptr_t)c->fd);
    gnutls_transport_set_pull_function(c->tls, pull);
    if (c->material->pem[TLS_CA].len > 0) {
        gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(c->tls, verify_client);
    }
    return EPOLLIN;
}

void http_tls_arrived(struct http_connection *c)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (c->tls && !c->used) epoll_ctl(c->server->watch_fd, EPOLL_CTL_MOD, c->fd, &event);
}

void http_tls_refused(struct http_connection *c)
{
    if (c->tls) tls_move(c, HTTP_TLS_FAILED);
}

/* Does not touch c->tls: the library has already freed the session. */
void http_tls_closed(struct http_connection *c)
{
    if (c->tls_flow == HTTP_TLS_PARKED) list_remove(&c->server->tls.parked, &c->tls_link);
    tls_material_unref(c->material);
}

void http_tls_start(struct http_server *s)
{
    list_init(&s->tls.parked);
    for (size_t i = 0; i < HTTP_TLS_FAULT_COUNT; i++) {
        struct buf label = {0};
        metric_add_label(&label, "reason", fault_names[i]);
        s->tls.failures[i] = metric_counter("fantail_tls_handshake_failures_total", "Failed TLS handshakes of clients.",
                                            buf_cstr(&label));
        buf_release(&label);
    }
}
