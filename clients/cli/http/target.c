#include "cli/http/target.h"

#include <sys/stat.h>

#include "cli/base/interrupt.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/files/regular_file.h"
#include "common/net/unix_address.h"
#include "common/service/tokens.h"

static bool is_too_long(const char *url)
{
    const char *path = unix_address_path(url);
    return path && strlen(path) > UNIX_PATH_BYTES;
}

/* Writes why the URL cannot be used. */
static void explain(const char *url, char *err, size_t err_size)
{
    if (is_too_long(url))
        snprintf(err, err_size, "the path of a socket must have at most %zu bytes: \"%s\"", UNIX_PATH_BYTES, url);
    else
        snprintf(err, err_size, "\"%s\" is not a URL such as http://127.0.0.1:8080 or unix:PATH", url);
}

static bool is_port(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && n > 0 && n <= 65535;
}

/* Splits HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. */
static bool split_authority(struct target *t)
{
    char *host = t->authority, *port = NULL, *end;
    if (*host == '[') {
        end = strchr(++host, ']');
        if (!end || (end[1] != '\0' && end[1] != ':')) return false;
        if (end[1] == ':') port = end + 2;
    } else {
        end = strchr(host, ':');
        if (end)
            port = end + 1;
        else
            end = host + strlen(host);
    }
    if (end == host || (port && !is_port(port))) return false;
    t->host = xstrndup(host, (size_t)(end - host));
    snprintf(t->port, sizeof(t->port), "%s", port ? port : t->tls ? "443" : "80");
    return true;
}

static bool split_path(struct target *t, const char *path)
{
    socklen_t len = unix_address_fill(&t->file, path);
    t->file_info = (struct addrinfo){
        .ai_family = AF_UNIX, .ai_socktype = SOCK_STREAM, .ai_addr = (struct sockaddr *)&t->file, .ai_addrlen = len};
    t->addresses = &t->file_info;
    t->authority = xstrdup("localhost");
    t->prefix = xstrdup("");
    return len > 0;
}

static bool split_url(struct target *t)
{
    const char *rest, *path = unix_address_path(t->url);
    if (path) return split_path(t, path);
    if (strncmp(t->url, "http://", 7) == 0) {
        rest = t->url + 7;
    } else if (strncmp(t->url, "https://", 8) == 0) {
        rest = t->url + 8;
        t->tls = true;
    } else {
        return false;
    }
    if (strpbrk(rest, "?#@ \t\r\n")) return false;
    size_t authority_len = strcspn(rest, "/");
    path = rest + authority_len;
    size_t path_len = strlen(path);
    while (path_len > 0 && path[path_len - 1] == '/') path_len--;
    t->authority = xstrndup(rest, authority_len);
    t->prefix = xstrndup(path, path_len);
    return split_authority(t);
}

static bool look_up(struct target *t, char *err, size_t err_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    int failure = getaddrinfo(t->host, t->port, &hints, &t->addresses);
    if (failure == EAI_NONAME) {
        t->by_name = true;
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        failure = getaddrinfo(t->host, t->port, &hints, &t->addresses);
    }
    if (failure) snprintf(err, err_size, "cannot look up %s: %s", t->host, gai_strerror(failure));
    return failure == 0;
}

void target_look_up_again(struct target *t)
{
    struct addrinfo *before = t->addresses;
    char err[256];
    if (!t->by_name || t->tls) return; /* for each connection, libcurl looks up the name itself */
    interrupt_kills(true);
    bool found = look_up(t, err, sizeof(err));
    interrupt_kills(false);
    if (found)
        freeaddrinfo(before);
    else
        t->addresses = before;
}

struct target_token {
    const char *path;
    struct stat seen; /* the file when it was read */
    char *text;
};

static void free_text(struct target_token *t)
{
    if (t->text) explicit_bzero(t->text, strlen(t->text));
    free(t->text);
    t->text = NULL;
}

/* If the file cannot be read or has no token, returns false and leaves t->text as it is. */
static bool read_token(struct target_token *t, char *err, size_t err_size)
{
    struct tokens tokens;
    if (!tokens_read(&tokens, t->path, err, err_size)) return false;
    free_text(t);
    t->text = xstrdup(tokens_first(&tokens));
    tokens_release(&tokens);
    return true;
}

static bool open_token(struct target *t, const char *path, char *err, size_t err_size)
{
    t->token = xcalloc(1, sizeof *t->token);
    t->token->path = path;
    if (stat(path, &t->token->seen) != 0) t->token->seen = (struct stat){0};
    return read_token(t->token, err, err_size);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

const char *target_token(const struct target *t)
{
    struct target_token *token = t->token;
    struct stat now;
    char err[256];
    if (!token) return NULL;
    if (stat(token->path, &now) == 0 && !is_same_file(&now, &token->seen)) {
        token->seen = now;
        if (!read_token(token, err, sizeof err)) token->seen = (struct stat){0}; /* it may be half written */
    }
    return token->text;
}

struct file_option {
    const char *option, *path;
    const char *block; /* the file must contain this text */
};

/* Complains if the file cannot be read or does not contain `block`. libcurl checks the content of the block later. */
static int check_pem(const struct option_spec *spec, const struct file_option *f)
{
    struct buf text;
    char why[200];
    buf_init(&text, LIMIT_PEM_BYTES);
    bool readable = regular_file_read(f->path, &text, why, sizeof(why)),
         right = readable && strstr(text.data, f->block);
    buf_release(&text);
    if (!readable) return option_complain(spec, f->option, "cannot read %s: %s", f->path, why);
    return right ? 0 : option_complain(spec, f->option, "%s is not a PEM file with a \"%s\"", f->path, f->block);
}

int target_config_check(const struct option_spec *spec, const struct target_config *config)
{
    char err[512];
    int status = 0;
    if (!config->url)
        return option_complain(spec, NULL, "--url is missing. Give `--url http://localhost:8080` or set FANTAIL_URL.");
    struct target t = {.url = xstrdup(config->url)};
    if (!split_url(&t)) {
        explain(t.url, err, sizeof(err));
        status = option_complain(spec, "url", "%s", err);
    }
    if (!status && config->token_file && !open_token(&t, config->token_file, err, sizeof(err)))
        status = option_complain(spec, "token-file", "%s", err);
    target_release(&t);
    const struct file_option files[] = {{"cacert", config->cacert, "CERTIFICATE-----"},
                                        {"cert", config->cert, "CERTIFICATE-----"},
                                        {"key", config->key, "PRIVATE KEY-----"}};
    for (size_t n = 0; n < ARRAY_SIZE(files) && !status; n++)
        if (files[n].path) status = check_pem(spec, &files[n]);
    if (!status && config->key && !config->cert) status = option_complain(spec, "cert", "is needed with --key");
    return status;
}

bool target_init(struct target *t, const struct target_config *config, char *err, size_t err_size)
{
    *t = (struct target){.cacert = config->cacert, .cert = config->cert, .key = config->key};
    t->url = xstrdup(config->url);
    if (!split_url(t)) {
        explain(t->url, err, err_size);
        return false;
    }
    if (config->token_file && !open_token(t, config->token_file, err, err_size)) return false;
    return t->tls || t->addresses || look_up(t, err, err_size);
}

void target_release(struct target *t)
{
    if (t->addresses && t->addresses != &t->file_info) freeaddrinfo(t->addresses);
    free(t->url);
    free(t->host);
    free(t->authority);
    free(t->prefix);
    if (t->token) free_text(t->token);
    free(t->token);
    *t = (struct target){0};
}
