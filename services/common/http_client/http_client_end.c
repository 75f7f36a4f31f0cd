#include "common/http_client/http_client_internal.h"

static void name_tls_fault(struct http_call *call, CURLcode code, struct http_call_result *r)
{
    r->tls_fault = call_tls_fault(call, code);
    if (!r->tls_fault) return;
    r->outcome = HTTP_CALL_NOT_CONNECTED;
    if (strcmp(r->tls_fault, "not_tls") == 0) r->reason = "the peer does not speak TLS; perhaps it speaks plain http";
    snprintf(call->reason, sizeof call->reason, "TLS %s: %s", r->tls_fault, r->reason);
    r->reason = call->reason;
}

/* Returns whether the request was sent on a kept connection that died before the answer. In this case curl opens a
 * second connection to repeat the request. If the second connection fails too, curl's error is about the second
 * connection, although the request was sent on the first. curl opens a second connection only after the request was
 * sent, so in this case `sent` is above 0. */
static bool kept_connection_died(const struct http_call *call, CURLcode code, long sent)
{
    if (call->may_repeat || sent == 0) return false;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_OPERATION_TIMEDOUT: /* curl has no other time limit here, so the call timed out while connecting */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: return true;
    case CURLE_ABORTED_BY_CALLBACK: return call->sendings > 1;
    default: return false;
    }
}

/* Returns the meaning of a result code. For a call of plain http, the text comes from this function, because libcurl
 * may not be loaded. */
static const char *text_of(const struct http_call *call, CURLcode code)
{
    if (code == CURLE_OK) return "answered";
    if (!call->is_plain) return libcurl.easy_strerror(code);
    return code == CURLE_OPERATION_TIMEDOUT ? "the time limit has passed" : "the connection failed";
}

struct http_call_result call_classify_end(struct http_call *call, CURLcode code)
{
    long sent = 0;
    if (call->is_plain)
        sent = call->sent_bytes > 0;
    else
        libcurl.easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    struct http_call_result r = {
        .status = call->status, .sent_body = sent > 0, .closes = call->closes, .reason = call->error};
    if (kept_connection_died(call, code, sent)) {
        r.outcome = HTTP_CALL_LOST;
        r.reason = "the connection was lost after the request was sent, before the answer";
        return r;
    }
    if (!call->error[0]) r.reason = text_of(call, code);
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
