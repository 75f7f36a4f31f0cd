#include "unit/coordinator/store/power_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/base/buf.h"

#define SECTOR 512
#define FILES  8

/* A write or a truncation that is not synced yet. */
struct change {
    sqlite3_int64 offset;
    char *bytes; /* NULL: a truncation to `offset` */
    size_t len;
};

/* The synced content of one file, and the changes since the last sync. */
struct record {
    char *path; /* NULL: not in use */
    struct buf synced;
    struct change *changes;
    size_t change_count;
};

struct power_file {
    sqlite3_file base;
    struct record *record;
    sqlite3_file *real; /* in the memory after this struct */
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs *usual, *real;
    sqlite3_vfs vfs;
    struct record records[FILES];
    struct power_vfs_counts counts;
    unsigned number;
    void (*before)(unsigned number, void *data);
    void *data;
    unsigned fail_at;
    int fail_rc; /* SQLITE_OK: nothing fails */
    bool fails_for_good, has_failed;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Records -------------------------------------------------------------------------------------------------- */

static void drop_changes(struct record *r)
{
    for (size_t i = 0; i < r->change_count; i++) free(r->changes[i].bytes);
    free(r->changes);
    r->changes = NULL;
    r->change_count = 0;
}

static void forget_record(struct record *r)
{
    drop_changes(r);
    buf_release(&r->synced);
    free(r->path);
    *r = (struct record){0};
}

static struct record *find_record(const char *path)
{
    for (unsigned i = 0; i < FILES; i++)
        if (power.records[i].path && strcmp(power.records[i].path, path) == 0) return &power.records[i];
    return NULL;
}

/* When a file is first opened, its content counts as synced. */
static struct record *open_record(const char *path)
{
    struct record *r = find_record(path);
    if (r) return r;
    for (r = power.records; r->path; r++)
        if (r == &power.records[FILES - 1]) BUG("too many files");
    r->path = xstrdup(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char bytes[4096];
    /* This read may wait for the disk while the lock is held. This is harmless, because this code runs only in tests.
     */
    for (ssize_t got; fd >= 0 && (got = read(fd, bytes, sizeof bytes)) > 0;) buf_add(&r->synced, bytes, (size_t)got);
    if (fd >= 0) close(fd);
    return r;
}

static void add_change(struct record *r, const void *bytes, size_t len, sqlite3_int64 offset)
{
    r->changes = xrealloc(r->changes, (r->change_count + 1) * sizeof *r->changes);
    struct change c = {offset, bytes ? xmalloc(len + 1) : NULL, len};
    if (bytes) memcpy(c.bytes, bytes, len);
    r->changes[r->change_count++] = c;
}

static void apply_change(struct buf *to, const struct change *c, size_t len)
{
    size_t end = (size_t)c->offset + (c->bytes ? len : 0);
    if (!c->bytes) {
        if (to->len > end) to->len = end;
        return;
    }
    if (to->len < end) {
        if (!buf_reserve(to, end - to->len)) BUG("the buffer has a cap");
        memset(to->data + to->len, 0, end - to->len);
        to->len = end;
    }
    if (len > 0) memcpy(to->data + c->offset, c->bytes, len);
}

static void sync_record(struct record *r)
{
    for (size_t i = 0; i < r->change_count; i++) apply_change(&r->synced, &r->changes[i], r->changes[i].len);
    drop_changes(r);
}

/* ---- Power cuts ----------------------------------------------------------------------------------------------- */

static unsigned draw(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void write_file(const char *path, const struct buf *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (content->len > 0 && write(fd, content->data, content->len) != (ssize_t)content->len))
        BUG("cannot write %s", path);
    close(fd);
}

void power_vfs_cut(const char *folder, unsigned seed)
{
    for (unsigned i = 0; i < FILES; i++) {
        const struct record *r = &power.records[i];
        if (!r->path) continue;
        struct buf content = {0};
        buf_add(&content, r->synced.data, r->synced.len);
        for (size_t k = 0; k < r->change_count; k++) {
            const struct change *c = &r->changes[k];
            unsigned fate = draw(&seed, 4);
            size_t part = (size_t)draw(&seed, (unsigned)(c->len / SECTOR) + 1) * SECTOR;
            if (fate != 0) apply_change(&content, c, fate == 1 ? part : c->len);
        }
        char path[300];
        snprintf(path, sizeof path, "%s/%s", folder, strrchr(r->path, '/') + 1);
        write_file(path, &content);
        buf_release(&content);
    }
}

/* ---- The file system ------------------------------------------------------------------------------------------ */

/* Begins an operation that changes a file. If the operation may proceed, returns SQLITE_OK with the lock held. If the
 * operation must fail, returns its error. */
static int begin(unsigned *count)
{
    pthread_mutex_lock(&power.lock);
    unsigned number = power.number++;
    if (power.before) power.before(number, power.data);
    ++*count;
    bool fails =
        power.fail_rc != SQLITE_OK && (power.fails_for_good ? number >= power.fail_at : number == power.fail_at);
    if (!fails) return SQLITE_OK;
    power.has_failed = true;
    pthread_mutex_unlock(&power.lock);
    return power.fail_rc;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct power_file *)f)->real;
}

static int power_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 offset)
{
    int rc = begin(&power.counts.writes);
    if (rc != SQLITE_OK) return rc;
    add_change(((struct power_file *)f)->record, bytes, (size_t)len, offset);
    rc = real_of(f)->pMethods->xWrite(real_of(f), bytes, len, offset);
    pthread_mutex_unlock(&power.lock);
    return rc;
}

static int power_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = begin(&power.counts.truncations);
    if (rc != SQLITE_OK) return rc;
    add_change(((struct power_file *)f)->record, NULL, 0, size);
    rc = real_of(f)->pMethods->xTruncate(real_of(f), size);
    pthread_mutex_unlock(&power.lock);
    return rc;
}

/* Notes the sync, but does not sync the real file, because a sync is slow and the test needs only the record. */
static int power_sync(sqlite3_file *f, int flags)
{
    int rc = begin(&power.counts.syncs);
    if (rc != SQLITE_OK) return rc;
    sync_record(((struct power_file *)f)->record);
    pthread_mutex_unlock(&power.lock);
    return SQLITE_OK;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    int rc = begin(&power.counts.deletions);
    if (rc != SQLITE_OK) return rc;
    struct record *r = find_record(path);
    if (r) forget_record(r);
    rc = power.real->xDelete(power.real, path, 0);
    pthread_mutex_unlock(&power.lock);
    return rc;
}

static int power_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}
static int power_read(sqlite3_file *f, void *to, int len, sqlite3_int64 offset)
{
    return real_of(f)->pMethods->xRead(real_of(f), to, len, offset);
}
static int power_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}
static int power_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int power_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int power_check_lock(sqlite3_file *f, int *is_locked)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), is_locked);
}
static int power_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int power_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int power_characteristics(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int power_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **to)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, to);
}
static int power_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}
static void power_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int power_shm_unmap(sqlite3_file *f, int remove_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = power_close,
    .xRead = power_read,
    .xWrite = power_write,
    .xTruncate = power_truncate,
    .xSync = power_sync,
    .xFileSize = power_size,
    .xLock = power_lock,
    .xUnlock = power_unlock,
    .xCheckReservedLock = power_check_lock,
    .xFileControl = power_control,
    .xSectorSize = power_sector_size,
    .xDeviceCharacteristics = power_characteristics,
    .xShmMap = power_shm_map,
    .xShmLock = power_shm_lock,
    .xShmBarrier = power_shm_barrier,
    .xShmUnmap = power_shm_unmap,
};

static int power_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    struct power_file *p = (struct power_file *)f;
    p->base.pMethods = NULL;
    p->real = (sqlite3_file *)(p + 1);
    if (!path) BUG("SQLite opened a temporary file");
    pthread_mutex_lock(&power.lock);
    p->record = open_record(path);
    pthread_mutex_unlock(&power.lock);
    int rc = power.real->xOpen(power.real, path, p->real, flags, out_flags);
    if (rc == SQLITE_OK) p->base.pMethods = &methods;
    return rc;
}

void power_vfs_install(void)
{
    power.usual = sqlite3_vfs_find(NULL);
    power.real = sqlite3_vfs_find("unix-excl"); /* the store selects this file system by its name */
    power.vfs = *power.real;
    power.vfs.szOsFile = (int)sizeof(struct power_file) + power.real->szOsFile;
    power.vfs.pNext = NULL;
    power.vfs.xOpen = power_open;
    power.vfs.xDelete = power_delete;
    sqlite3_vfs_register(&power.vfs, 1);
}

void power_vfs_remove(void)
{
    power_vfs_forget();
    sqlite3_vfs_unregister(&power.vfs);
    sqlite3_vfs_register(power.usual, 1);
}

void power_vfs_forget(void)
{
    pthread_mutex_lock(&power.lock);
    for (unsigned i = 0; i < FILES; i++) forget_record(&power.records[i]);
    power.counts = (struct power_vfs_counts){0};
    power.number = 0;
    pthread_mutex_unlock(&power.lock);
}

struct power_vfs_counts power_vfs_counts(void)
{
    pthread_mutex_lock(&power.lock);
    struct power_vfs_counts counts = power.counts;
    pthread_mutex_unlock(&power.lock);
    return counts;
}

void power_vfs_watch(void (*before)(unsigned number, void *data), void *data)
{
    pthread_mutex_lock(&power.lock);
    power.before = before;
    power.data = data;
    power.number = 0;
    pthread_mutex_unlock(&power.lock);
}

void power_vfs_fail(unsigned number, int rc, bool for_good)
{
    pthread_mutex_lock(&power.lock);
    power.number = 0;
    power.fail_at = number;
    power.fail_rc = rc;
    power.fails_for_good = for_good;
    power.has_failed = false;
    pthread_mutex_unlock(&power.lock);
}

bool power_vfs_mend(void)
{
    pthread_mutex_lock(&power.lock);
    power.fail_rc = SQLITE_OK;
    bool has_failed = power.has_failed;
    pthread_mutex_unlock(&power.lock);
    return has_failed;
}
