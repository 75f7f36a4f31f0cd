/*
 * A file system for SQLite that writes the log in few large pieces. SQLite writes each page of a transaction with two
 * calls, one for the head of 24 bytes and one for the page. Each of these writes costs the kernel about 5 us, because
 * the write begins and ends in the middle of a page of the page cache. In its whole life, a small job changes about 20
 * pages. So this file system collects consecutive writes in a buffer. It writes the buffer when SQLite syncs or reads
 * the log, or when the buffer is full. SQLite syncs the log at each commit, so a committed page is never only in the
 * buffer. All other calls are passed on to the file system with the name BASE.
 */
#include <uv.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

#define BASE "unix-excl"

/* SQLite itself writes at most 64 KiB in one call, and its file systems accept at most 128 KiB - 1. */
enum { PIECE_BYTES = 64 * 1024 };

struct log_file {
    sqlite3_file base;
    sqlite3_int64 offset; /* where the collected bytes begin in the file */
    struct buf piece;
    sqlite3_file *real; /* in the memory after this struct */
};

static struct {
    uv_mutex_t lock;
    sqlite3_vfs *base; /* the base when `vfs` was made; NULL: `vfs` was not made yet */
    sqlite3_vfs vfs;
} ours;
static uv_once_t once = UV_ONCE_INIT;

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return log_of(f)->real;
}

/* Writes the collected bytes. If the write fails, the collected bytes are dropped: the transaction fails too, so nobody
 * reads these bytes. */
static int flush(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    if (l->piece.len == 0) return SQLITE_OK;
    int rc = l->real->pMethods->xWrite(l->real, l->piece.data, (int)l->piece.len, l->offset);
    buf_clear(&l->piece);
    return rc;
}

static int log_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 offset)
{
    struct log_file *l = log_of(f);
    bool follows = offset == l->offset + (sqlite3_int64)l->piece.len;
    if (!follows || l->piece.len + (size_t)len > PIECE_BYTES) {
        int rc = flush(f);
        if (rc != SQLITE_OK) return rc;
        l->offset = offset;
    }
    if (len > PIECE_BYTES) return l->real->pMethods->xWrite(l->real, bytes, len, offset);
    buf_add(&l->piece, bytes, (size_t)len);
    return SQLITE_OK;
}

static int log_close(sqlite3_file *f)
{
    int flushed = flush(f), closed = real_of(f)->pMethods->xClose(real_of(f));
    buf_release(&log_of(f)->piece);
    return flushed != SQLITE_OK ? flushed : closed;
}

static int log_read(sqlite3_file *f, void *to, int len, sqlite3_int64 offset)
{
    int rc = flush(f);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xRead(real_of(f), to, len, offset);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = flush(f);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int log_sync(sqlite3_file *f, int flags)
{
    int rc = flush(f);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int rc = flush(f);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int log_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int log_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int log_check_lock(sqlite3_file *f, int *is_locked)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), is_locked);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int log_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int log_characteristics(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

/* Files other than the log are opened with the file system BASE. */
static int log_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    sqlite3_vfs *base = vfs->pAppData;
    if (!(flags & SQLITE_OPEN_WAL)) return base->xOpen(base, path, f, flags, out_flags);
    struct log_file *l = log_of(f);
    *l = (struct log_file){.real = (sqlite3_file *)(l + 1)};
    int rc = base->xOpen(base, path, l->real, flags, out_flags);
    if (rc == SQLITE_OK) l->base.pMethods = &methods;
    return rc;
}

static void init(void)
{
    if (uv_mutex_init(&ours.lock) != 0) BUG("a mutex cannot be made");
}

const char *sqlite_log_file_vfs(void)
{
    static const char name[] = "fantail";
    uv_once(&once, init);
    uv_mutex_lock(&ours.lock);
    sqlite3_vfs *base = sqlite3_vfs_find(BASE);
    if (base && base != ours.base) { /* tests replace the base */
        if (ours.base) sqlite3_vfs_unregister(&ours.vfs);
        ours.base = base;
        ours.vfs = *base;
        ours.vfs.zName = name;
        ours.vfs.szOsFile = (int)sizeof(struct log_file) + base->szOsFile;
        ours.vfs.pNext = NULL;
        ours.vfs.pAppData = base;
        ours.vfs.xOpen = log_open;
        sqlite3_vfs_register(&ours.vfs, 0);
    }
    uv_mutex_unlock(&ours.lock);
    return name;
}
