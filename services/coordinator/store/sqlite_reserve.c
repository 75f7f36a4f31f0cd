/*
 * The reserve of a store, the file PATH.reserve. The bytes of the reserve are allocated, but stay unused until the disk
 * is full. When the disk is full, the file is cut to 0 bytes. The room that becomes free is enough to copy the log into
 * the database file. It is also enough to write to the log which jobs have ended or have been removed. While the disk
 * is full, new jobs and blocks are refused, because they would use up this room. When the disk has room again, the
 * reserve is made again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

#define LOG_PAGES_MAX 4096 /* on a small disk, the log is shorter: at most 1 / DISK_SHARE of the disk */
#define LOG_PAGES_MIN 32
#define DISK_SHARE    32
#define RESERVE_LOGS  2 /* the reserve is this many times as long as the log */
#define LOOK_AGAIN_NS NS_PER_S
#define ZERO_BYTES    64 /* a file that does not begin with this many zeros is not a reserve */

static const char *const names[] = {
    [SQLITE_RESERVE_NONE] = "none",
    [SQLITE_RESERVE_HELD] = "held",
    [SQLITE_RESERVE_USED] = "used",
};
static_assert(ARRAY_SIZE(names) == SQLITE_RESERVE_COUNT, "a name for each state");

const char *sqlite_reserve_name(enum sqlite_reserve state)
{
    return names[state];
}

unsigned sqlite_reserve_log_pages(const char *path)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0) return LOG_PAGES_MAX;
    uint64_t share = (uint64_t)v.f_blocks * v.f_frsize / DISK_SHARE / SQLITE_PAGE_BYTES;
    return share > LOG_PAGES_MAX ? LOG_PAGES_MAX : share < LOG_PAGES_MIN ? LOG_PAGES_MIN : (unsigned)share;
}

static uint64_t log_bytes(const struct sqlite_db *d)
{
    return (uint64_t)d->log_pages * SQLITE_PAGE_BYTES;
}

/* Returns how many bytes this user may still write to the disk; UINT64_MAX if that is unknown. */
static uint64_t room(const struct sqlite_db *d)
{
    struct statvfs v;
    return statvfs(d->path, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

/* Opens or makes the file of the reserve. Sets *size to the size of this file. Returns -1 if the path has another kind
 * of file, or if no file can be made. */
static int open_reserve(const struct sqlite_db *d, uint64_t *size)
{
    static const char zeros[ZERO_BYTES];
    char name[PATH_MAX], begin[ZERO_BYTES];
    struct stat s;
    snprintf(name, sizeof name, "%s.reserve", d->path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) return -1;
    bool is_file = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    ssize_t got = is_file ? pread(fd, begin, sizeof begin, 0) : -1;
    if (got < 0 || memcmp(begin, zeros, (size_t)got) != 0) {
        close(fd);
        errno = EEXIST;
        return -1;
    }
    *size = (uint64_t)s.st_blocks * 512;
    return fd;
}

static bool means_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* Makes the file if it does not exist, and allocates the bytes that it lacks. Returns the new state of the reserve. */
static enum sqlite_reserve make(const struct sqlite_db *d)
{
    uint64_t size, wanted = RESERVE_LOGS * log_bytes(d);
    int fd = open_reserve(d, &size), error = fd < 0 ? errno : 0;
    if (fd >= 0 && size < wanted && fallocate(fd, 0, 0, (off_t)wanted) != 0) {
        error = errno;
        if (ftruncate(fd, 0) != 0) error = EIO; /* the part that was allocated stays */
    }
    if (fd >= 0) close(fd);
    return error == 0 ? SQLITE_RESERVE_HELD : means_no_room(error) ? SQLITE_RESERVE_USED : SQLITE_RESERVE_NONE;
}

void sqlite_reserve_start(struct sqlite_db *d)
{
    d->reserve = make(d);
    d->reserve_ns = now_ns();
}

/* Returns whether the disk was full when the transaction failed. SQLite loses the errno of most writes. SQLITE_FULL can
 * also mean that the limit --store-max-bytes has been reached. */
static bool was_full(const struct sqlite_db *d)
{
    bool may_be = (d->rc & 0xff) == SQLITE_FULL && room(d) < log_bytes(d);
    return may_be || means_no_room(d->system_error);
}

bool sqlite_reserve_use(struct sqlite_db *d)
{
    uint64_t size;
    if (d->reserve != SQLITE_RESERVE_HELD || !was_full(d)) return false;
    int fd = open_reserve(d, &size);
    bool ok = fd >= 0 && ftruncate(fd, 0) == 0;
    if (fd >= 0) close(fd);
    d->reserve = SQLITE_RESERVE_USED;
    d->reserve_ns = now_ns();
    if (!ok) return false;
    /* After the log has been copied, the next transactions overwrite the log, and so need little room. */
    d->rc = SQLITE_OK;
    sqlite_run(d, SQL_CHECKPOINT);
    return true;
}

void sqlite_reserve_look(struct sqlite_db *d)
{
    d->room_bytes = room(d);
    d->added_bytes = 0;
    if (d->reserve != SQLITE_RESERVE_USED || now_ns() - d->reserve_ns < LOOK_AGAIN_NS) return;
    d->reserve_ns = now_ns();
    d->untidy = true; /* a removal that had no room continues */
    if (d->room_bytes < (RESERVE_LOGS + 2) * log_bytes(d)) return;
    d->reserve = make(d);
    d->room_bytes = room(d);
}

bool sqlite_reserve_allows(struct sqlite_db *d, size_t bytes)
{
    if (d->reserve == SQLITE_RESERVE_USED) return false;
    /* The bytes are written to the log first, and then to the database file. There must also be room in the database
     * file for the part of the log that was written earlier. */
    uint64_t added = d->added_bytes + bytes;
    if (d->room_bytes / 2 < added || d->room_bytes - 2 * added < log_bytes(d)) return false;
    d->added_bytes = added;
    return true;
}
