#include "common/net/tls_material.h"

#include <gnutls/x509.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "common/base/limits.h"
#include "common/files/regular_file.h"

struct pem_reading {
    struct tls_material *m;
    const struct tls_words *words;
    const char *option; /* the option that a fault is about */
    char *err;
    size_t err_size;
};

static bool fault(struct pem_reading *r, enum tls_file file, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool fault(struct pem_reading *r, enum tls_file file, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->err, r->err_size, fmt, args);
    va_end(args);
    r->option = r->words->option[file];
    return false;
}

static bool read_file(struct pem_reading *r, enum tls_file file, const char *path)
{
    char why[200];
    struct buf *b = &r->m->pem[file];
    buf_init(b, LIMIT_PEM_BYTES);
    return regular_file_read(path, b, why, sizeof why) || fault(r, file, "%s: %s", path, why);
}

static gnutls_datum_t datum(const struct buf *b)
{
    return (gnutls_datum_t){(unsigned char *)b->data, (unsigned)b->len};
}

/* Stores the subject of our certificate, and the earliest expiry of a certificate in its chain. */
static bool examine_chain(struct pem_reading *r, const char *path)
{
    gnutls_datum_t pem = datum(&r->m->pem[TLS_CERT]);
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    int code = gnutls_x509_crt_list_import2(&chain, &count, &pem, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) return fault(r, TLS_CERT, "%s: cannot read certificates in PEM: %s", path, gnutls_strerror(code));
    size_t len = sizeof r->m->subject;
    if (gnutls_x509_crt_get_dn(chain[0], r->m->subject, &len) < 0) r->m->subject[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        time_t end = gnutls_x509_crt_get_expiration_time(chain[i]);
        if (i == 0 || end < r->m->not_after) r->m->not_after = end;
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    struct tm utc;
    gmtime_r(&r->m->not_after, &utc);
    strftime(r->m->ends, sizeof r->m->ends, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return true;
}

static bool read_own(struct pem_reading *r, const char *cert_path, const char *key_path)
{
    if (!examine_chain(r, cert_path)) return false;
    gnutls_datum_t cert = datum(&r->m->pem[TLS_CERT]), key = datum(&r->m->pem[TLS_KEY]);
    int code = gnutls_certificate_set_x509_key_mem2(r->m->credentials, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return fault(r, TLS_KEY, "%s: is not the key of the certificate in %s", key_path, cert_path);
    if (code < 0) return fault(r, TLS_KEY, "%s: cannot read a private key in PEM: %s", key_path, gnutls_strerror(code));
    r->m->has_own = true;
    return true;
}

static bool read_authorities(struct pem_reading *r, const char *path)
{
    gnutls_datum_t pem = datum(&r->m->pem[TLS_CA]);
    int code = gnutls_certificate_set_x509_trust_mem(r->m->credentials, &pem, GNUTLS_X509_FMT_PEM);
    if (code > 0) return true;
    return fault(r, TLS_CA, "%s: cannot read certificates in PEM: %s", path,
                 code < 0 ? gnutls_strerror(code) : "there are none");
}

static bool read_all(struct pem_reading *r, const struct tls_files *files)
{
    const char *cert = files->path[TLS_CERT], *key = files->path[TLS_KEY], *ca = files->path[TLS_CA];
    const struct tls_words *w = r->words;
    if (cert && !key) return fault(r, TLS_KEY, "is needed together with --%s", w->option[TLS_CERT]);
    if (key && !cert) return fault(r, TLS_CERT, "is needed together with --%s", w->option[TLS_KEY]);
    for (int i = 0; i < TLS_FILE_COUNT; i++)
        if (files->path[i] && !read_file(r, (enum tls_file)i, files->path[i])) return false;
    return (!cert || read_own(r, cert, key)) && (!ca || read_authorities(r, ca));
}

struct tls_material *tls_material_load(const struct tls_files *files, const struct tls_words *words,
                                       const char **option, char *err, size_t err_size)
{
    struct tls_material *m = xcalloc(1, sizeof *m);
    struct pem_reading r = {.m = m, .words = words, .err = err, .err_size = err_size};
    m->references = 1;
    if (gnutls_certificate_allocate_credentials(&m->credentials) < 0) BUG("GnuTLS has no memory for credentials");
    if (read_all(&r, files)) return m;
    *option = r.option;
    tls_material_unref(m);
    return NULL;
}

struct tls_material *tls_material_ref(struct tls_material *m)
{
    m->references++;
    return m;
}

void tls_material_unref(struct tls_material *m)
{
    if (!m || --m->references > 0) return;
    gnutls_certificate_free_credentials(m->credentials);
    if (m->pem[TLS_KEY].data) explicit_bzero(m->pem[TLS_KEY].data, m->pem[TLS_KEY].alloc);
    for (size_t i = 0; i < TLS_FILE_COUNT; i++) buf_release(&m->pem[i]);
    free(m);
}
