/*
 * Checks, locks or makes the file of a store before SQLite opens it. These functions never write to a file that is not
 * fantail's. A new file is made under another name and then renamed, so the file at the path is always complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/store/sqlite_internal.h"

/* The header of an SQLite file: https://www.sqlite.org/fileformat.html#the_database_header */
#define HEADER_BYTES          100
#define HEADER_MAGIC          "SQLite format 3" /* with its NUL */
#define HEADER_APPLICATION_ID 68

#define LINKS_MAX 40 /* the kernel follows at most this many symbolic links */

static bool refuse(char *err, size_t err_size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool refuse(char *err, size_t err_size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, err_size, fmt, args);
    va_end(args);
    return false;
}

/* Returns the folder of a path that has a slash. The caller frees it. */
static char *folder_of(const char *path)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    return len > 0 ? xstrndup(path, len) : xstrdup("/");
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = xmalloc(size);
    snprintf(path, size, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    return path;
}

/* If the path is a symbolic link, returns the path of its target, which need not exist. Otherwise returns NULL. */
static char *target_of(const char *path)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len <= 0) return NULL;
    target[len] = '\0';
    if (target[0] == '/') return xstrdup(target);
    char *folder = folder_of(path), *joined = join(folder, target);
    free(folder);
    return joined;
}

char *sqlite_file_real_path(const char *path)
{
    char *at = xstrdup(path), *target;
    for (int links = 0; links < LINKS_MAX && (target = target_of(at)); links++) {
        free(at);
        at = target;
    }
    char *folder = folder_of(at), *real_folder = realpath(folder, NULL);
    char *real = real_folder ? join(real_folder, strrchr(at, '/') + 1) : NULL;
    free(folder);
    free(real_folder);
    if (!real) return at;
    free(at);
    return real;
}

static bool is_ours(const unsigned char header[HEADER_BYTES])
{
    const unsigned char *id = header + HEADER_APPLICATION_ID;
    uint32_t application = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return memcmp(header, HEADER_MAGIC, sizeof HEADER_MAGIC) == 0 && application == SQLITE_APPLICATION_ID;
}

/* Sets *is_new to true if there is no file, or only an empty one. Returns false if there is a file that cannot be
 * opened, or that is not a store. */
static bool check_file(const char *path, bool *is_new, char *err, size_t err_size)
{
    struct stat s;
    unsigned char header[HEADER_BYTES] = {0};
    *is_new = false;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        *is_new = true;
        return true;
    }
    if (fd < 0) return refuse(err, err_size, "cannot open the job store %s: %s", path, strerror(errno));
    bool is_file = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    ssize_t got = is_file ? pread(fd, header, sizeof header, 0) : 0;
    close(fd);
    if (!is_file) return refuse(err, err_size, "the job store %s is not a regular file", path);
    *is_new = s.st_size == 0;
    if (*is_new || (got == HEADER_BYTES && is_ours(header))) return true;
    return refuse(err, err_size, "%s is not a job store of fantail, or it is damaged; it was not changed", path);
}

static bool check_folder(const char *path, char *err, size_t err_size)
{
    struct stat s;
    char *folder = folder_of(path);
    bool exists = stat(folder, &s) == 0 && S_ISDIR(s.st_mode), ok = exists && access(folder, W_OK | X_OK) == 0;
    if (!exists) refuse(err, err_size, "the folder of the job store does not exist: %s", folder);
    if (exists && !ok)
        refuse(err, err_size, "cannot write to the folder of the job store, %s: %s", folder, strerror(errno));
    free(folder);
    return ok;
}

/* Checks the path, its folder and its file. Sets *is_new to true if the store must still be made. */
static bool check_path(const char *path, bool *is_new, char *err, size_t err_size)
{
    /* The longest allowed path is shorter than PATH_MAX, because the names of the lock and of the log are longer than
     * the path. */
    if (strlen(path) > PATH_MAX - 16) return refuse(err, err_size, "the path of the job store is too long");
    return check_folder(path, err, err_size) && check_file(path, is_new, err, err_size);
}

bool sqlite_file_check(const char *path, char *err, size_t err_size)
{
    bool is_new;
    return check_path(path, &is_new, err, err_size);
}

/* Locks path.lock. The kernel releases the lock when the process ends, even if the process is killed. The lock file is
 * not removed: otherwise, two processes could lock two different files of the same name. */
static bool lock_file(const char *path, int *lock_fd, char *err, size_t err_size)
{
    char name[PATH_MAX], pid[32] = "";
    snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) return refuse(err, err_size, "cannot make %s: %s", name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool is_held = errno == EWOULDBLOCK;
        ssize_t got = pread(fd, pid, sizeof pid - 1, 0);
        pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
        if (!is_held)
            refuse(err, err_size, "cannot lock %s: %s", name, strerror(errno));
        else
            refuse(err, err_size, "the job store %s is used by another process (pid %s)", path,
                   pid[0] ? pid : "unknown");
        close(fd);
        return false;
    }
    snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* A failure to write the pid is ignored: the pid is only for messages. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, strlen(pid), 0) < 0) pid[0] = '\0';
    *lock_fd = fd;
    return true;
}

static bool sync_folder(const char *path)
{
    char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path + 1));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    free(folder);
    return ok;
}

/* Makes a store at the path `name`. No other process uses this path. */
static bool fill_new(const char *name, char *err, size_t err_size)
{
    sqlite3 *db = NULL;
    unlink(name);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return refuse(err, err_size, "cannot make %s: %s", name, strerror(errno));
    close(fd);
    bool ok = sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK;
    if (!ok) refuse(err, err_size, "cannot make %s: %s", name, sqlite3_errmsg(db));
    ok = ok && sqlite_schema_make(db, name, err, err_size);
    int error = errno;
    sqlite3_close(db);
    if (!ok) unlink(name);
    errno = error;
    return ok;
}

/* Refuses a write-ahead log without its database file. A log without a database file is left over from a removed store,
 * and SQLite would copy its pages into the new file. */
static bool check_no_log(const char *path, char *err, size_t err_size)
{
    char name[PATH_MAX];
    struct stat s;
    snprintf(name, sizeof name, "%s-wal", path);
    if (stat(name, &s) != 0 || s.st_size == 0) return true;
    return refuse(err, err_size,
                  "%s exists, but its job store %s is missing: restore both files, or remove the first one", name,
                  path);
}

static bool make_file(const char *path, char *err, size_t err_size)
{
    char name[PATH_MAX];
    if (!check_no_log(path, err, err_size)) return false;
    snprintf(name, sizeof name, "%s.new", path);
    if (!fill_new(name, err, err_size)) return false;
    if (rename(name, path) == 0 && sync_folder(path)) return true;
    refuse(err, err_size, "cannot make the job store %s: %s", path, strerror(errno));
    unlink(name);
    return false;
}

bool sqlite_file_prepare(const char *path, int *lock_fd, char *err, size_t err_size)
{
    bool is_new;
    *lock_fd = -1;
    if (!check_path(path, &is_new, err, err_size) || !lock_file(path, lock_fd, err, err_size)) return false;
    /* Checks the file again, because another process may have made the file before this process had the lock. */
    if (check_file(path, &is_new, err, err_size) && (!is_new || make_file(path, err, err_size))) return true;
    close(*lock_fd);
    *lock_fd = -1;
    return false;
}
