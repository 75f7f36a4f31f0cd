/* The subcommand `write-secret`. Services read secrets from files, but some platforms pass secrets to a container only
 * as environment variables. If only variables are available, another container first runs `write-secret`, which writes
 * the secrets into a shared volume. So the environment of the service itself has no secrets. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/service/service.h"
#include "common/service/tokens.h"

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* Writes the file atomically. Only the user of this process can read the file. */
static bool write_file(const char *path, const char *text)
{
    char fresh[4096];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return false;
    }
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (fd < 0) return false;
    bool good = write_all(fd, text, strlen(text));
    int why = errno;
    close(fd);
    if (good && rename(fresh, path) == 0) return true;
    if (!good) errno = why;
    why = errno;
    unlink(fresh);
    errno = why;
    return false;
}

/* Returns whether the text is a secret. If the text is not a secret, writes the reason to err, without quoting the
 * text. */
static bool is_secret(const char *text, const struct secret_kind *other, char *err, size_t err_size)
{
    struct tokens tokens;
    if (other && other->is_one(text)) return true;
    if (!tokens_parse(&tokens, text, strlen(text), err, err_size)) return false;
    tokens_release(&tokens);
    return true;
}

static int write_secret(const struct option_spec *spec, const struct secret_kind *other, const char *variable,
                        const char *path)
{
    char err[256];
    const char *text = getenv(variable);
    if (!text) return option_complain(spec, NULL, "write-secret: the environment variable %s is not set", variable);
    if (!is_secret(text, other, err, sizeof err))
        return option_complain(spec, NULL, "write-secret: %s: %s%s%s", variable, err, other ? "; " : "",
                               other ? other->form : "");
    if (write_file(path, text)) return 0;
    option_complain(spec, NULL, "write-secret: %s: %s", path, strerror(errno));
    return 1;
}

int service_write_secrets(const struct option_spec *spec, const struct secret_kind *other, int argc, char **argv)
{
    int status = 0;
    if (argc < 3 || argc % 2 == 0)
        return option_complain(spec, NULL, "write-secret: needs one or more pairs of arguments: VARIABLE FILE");
    for (int i = 1; i < argc && status == 0; i += 2) status = write_secret(spec, other, argv[i], argv[i + 1]);
    return status;
}
