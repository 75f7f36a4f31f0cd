/*
 * Opens the file of the store, with one connection for the writer and one for the reader. If the disk is full, the
 * reader may be able to work although the writer is not. The writer tries again until there is room (store_sqlite.c).
 */
#include <errno.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "coordinator/store/sqlite_internal.h"

#define QUICK_CHECK_BYTES (64 * MIB) /* a file of at most this size is checked as a whole when it is opened */

static bool means_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Opens both connections. The reader's connection can be used even if the disk is full. */
static bool open_connections(struct sqlite_files *f, char *err, size_t err_size)
{
    struct sqlite_db *writer = &f->writer, *reader = &f->reader;
    if (!sqlite_db_open(writer, f->path, err, err_size)) return false;
    if (!sqlite_db_check(writer, QUICK_CHECK_BYTES, err, err_size)) return false;
    if (!sqlite_schema_forward(writer->db, f->path, err, err_size)) return false;
    if (!sqlite_db_limit(writer, f->max_bytes, err, err_size)) return false;
    writer->untidy = true;
    if (!sqlite_db_open(reader, f->path, err, err_size)) return false;
    reader->only_reads = true;
    return true;
}

/* Makes the store ready for the writer. If the disk is full, uses the reserve and tries again. */
static bool recover(struct sqlite_files *f, char *err, size_t err_size)
{
    struct sqlite_db *d = &f->writer;
    sqlite_reserve_start(d);
    for (;;) {
        errno = 0;
        if (sqlite_schema_recover(d->db, f->path, err, err_size)) return true;
        int error = errno;
        d->system_error = error;
        if (!sqlite_reserve_use(d)) {
            errno = error;
            return false;
        }
    }
}

void sqlite_close_files(struct sqlite_files *f)
{
    sqlite_db_close(&f->writer);
    sqlite_db_close(&f->reader);
    if (f->lock_fd >= 0) close(f->lock_fd);
    f->lock_fd = -1;
}

enum sqlite_opened sqlite_open_files(struct sqlite_files *f, enum sqlite_opened before, char *err, size_t err_size)
{
    errno = 0;
    bool was_readable = before == SQLITE_OPENED_FOR_READING;
    bool readable = was_readable ||
                    (sqlite_file_prepare(f->path, &f->lock_fd, err, err_size) && open_connections(f, err, err_size));
    if (readable && recover(f, err, err_size)) return SQLITE_OPENED;
    int error = means_full(errno) ? errno : 0;
    /* The reader may be using its connection by now. */
    if (!was_readable && (!readable || !error)) {
        sqlite_close_files(f);
        readable = false;
    }
    errno = error;
    return readable ? SQLITE_OPENED_FOR_READING : SQLITE_OPENED_NOTHING;
}
