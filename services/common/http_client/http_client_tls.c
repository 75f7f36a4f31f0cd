#include <stdlib.h>

#include "common/http_client/http_client_internal.h"
#include "common/net/tls_material.h"

/* OpenSSL's codes for faults of a certificate. curl returns them unchanged. */
enum {
    VERIFY_NO_ISSUER = 2,
    VERIFY_NOT_YET_VALID = 9,
    VERIFY_EXPIRED = 10,
    VERIFY_SELF_SIGNED = 18,
    VERIFY_NO_LEAF_SIGNATURE = 21,
    VERIFY_REVOKED = 23,
    VERIFY_PURPOSE = 26,
    VERIFY_NAME = 62,
    VERIFY_ADDRESS = 64
};

/* Returns the fault of the peer's certificate. curl compares the names itself and reports a mismatch only in its error
 * text. */
static const char *fault_of_certificate(long verify, const char *text)
{
    if (strstr(text, "subject name") || (verify >= VERIFY_NAME && verify <= VERIFY_ADDRESS)) return "wrong_name";
    if (verify == VERIFY_EXPIRED) return "expired";
    if (verify == VERIFY_NOT_YET_VALID) return "not_yet_valid";
    if (verify == VERIFY_NO_ISSUER || (verify >= VERIFY_SELF_SIGNED && verify <= VERIFY_NO_LEAF_SIGNATURE))
        return "unknown_authority";
    if (verify == VERIFY_REVOKED) return "revoked";
    return verify == VERIFY_PURPOSE ? "wrong_purpose" : "not_trusted";
}

/* Returns whether the text names a TLS alert about our certificate: the peer does not accept our certificate, or
 * demands one although we have none. */
static bool refuses_us(const char *text)
{
    static const char *const alerts[] = {"certificate required",    "unknown ca",          "bad certificate",
                                         "certificate expired",     "certificate revoked", "certificate unknown",
                                         "unsupported certificate", "access denied",       "handshake failure"};
    const char *alert = strstr(text, "alert ");
    for (size_t i = 0; alert && i < ARRAY_SIZE(alerts); i++)
        if (strstr(alert, alerts[i])) return true;
    return false;
}

/* With TLS 1.3 a server checks our certificate after our side of the handshake has ended. If the server refuses the
 * certificate, its alert arrives instead of the answer, and curl reports a receive error or a send error. */
static bool may_be_late_refusal(const struct http_call *call, CURLcode code)
{
    return call->status == 0 && (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING);
}

const char *call_tls_fault(struct http_call *call, CURLcode code)
{
    long verify = 0;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        libcurl.easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
        return fault_of_certificate(verify, call->error);
    case CURLE_SSL_CACERT_BADFILE: return "no_authorities";
    case CURLE_SSL_CONNECT_ERROR:
        if (refuses_us(call->error)) return "client_certificate_refused";
        return strstr(call->error, "wrong version number") ? "not_tls" : "handshake_failed";
    default: return may_be_late_refusal(call, code) && refuses_us(call->error) ? "client_certificate_refused" : NULL;
    }
}

/* Gives curl the content of a file instead of its name, so that curl uses exactly the bytes that were checked. curl
 * compares these bytes when it searches for a connection to reuse. So after a change of the file, a call gets a
 * connection that was made with the new bytes. */
static void set_blob(CURL *easy, CURLoption option, const struct buf *pem)
{
    struct curl_blob blob = {pem->data, pem->len, CURL_BLOB_NOCOPY};
    if (pem->len && libcurl.easy_setopt(easy, option, &blob) != CURLE_OK)
        BUG("this libcurl does not accept certificates from memory");
}

void call_set_tls(struct http_call *call)
{
    const struct tls_store *store = call->client->options.tls;
    if (!store || !store->current || store->current == call->material) return;
    struct tls_material *m = tls_material_ref(store->current);
    set_blob(call->easy, CURLOPT_CAINFO_BLOB, &m->pem[TLS_CA]);
    set_blob(call->easy, CURLOPT_SSLCERT_BLOB, &m->pem[TLS_CERT]);
    set_blob(call->easy, CURLOPT_SSLKEY_BLOB, &m->pem[TLS_KEY]);
    tls_material_unref(call->material);
    call->material = m;
}
