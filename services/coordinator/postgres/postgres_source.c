/* Reads the URL of the database. The URL may contain a password, so no message of this file quotes the URL. The
 * messages of libpq quote the URL, so they are not shown. */
#include <postgresql/libpq-fe.h>

#include "common/files/regular_file.h"
#include "coordinator/postgres/postgres_internal.h"

enum { URL_BYTES = 8192 };

bool postgres_is_url(const char *text)
{
    return strncmp(text, "postgresql://", strlen("postgresql://")) == 0 ||
           strncmp(text, "postgres://", strlen("postgres://")) == 0;
}

static char *read_file(const char *path, char *err, size_t err_size)
{
    struct buf text = {.cap = URL_BYTES};
    char why[200];
    size_t len;
    if (!regular_file_read(path, &text, why, sizeof why)) {
        snprintf(err, err_size, "cannot read %s: %s", path, why);
        buf_release(&text);
        return NULL;
    }
    text.len = strcspn(text.data, "\r\n");
    buf_cstr(&text);
    return buf_detach(&text, &len);
}

static bool is_understood(const char *url)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    PQconninfoFree(options);
    PQfreemem(why);
    return options != NULL;
}

char *postgres_source_read(const struct postgres_source *source, char *err, size_t err_size)
{
    const char *where = source->file ? source->file : "its value";
    char *url = source->file ? read_file(source->file, err, err_size) : xstrdup(source->url);
    if (!url) return NULL;
    if (postgres_is_url(url) && is_understood(url)) return url;
    snprintf(err, err_size, "%s is not a URL postgresql://USER:PASSWORD@HOST/DATABASE that libpq understands", where);
    free(url);
    return NULL;
}

bool postgres_source_check(const struct postgres_source *source, char *err, size_t err_size)
{
    char *url = postgres_source_read(source, err, err_size);
    free(url);
    return url != NULL;
}

unsigned postgres_source_hosts(const char *url)
{
    unsigned n = 1;
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, "host") != 0 || !o->val) continue;
        for (const char *at = o->val; *at; at++) n += *at == ',';
    }
    PQconninfoFree(options);
    return n;
}
