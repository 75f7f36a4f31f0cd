/*
 * An unlinked temporary file for bytes that do not fit in memory. The file is created at the first write. The kernel
 * removes the file when the process ends.
 */
#ifndef FANTAIL_COORDINATOR_SPILL_SPILL_FILE_H
#define FANTAIL_COORDINATOR_SPILL_SPILL_FILE_H

#include "coordinator/spill/spill_dir.h"

struct spill_file {
    struct spill_dir *dir; /* borrowed */
    int fd;                /* -1 until the first write */
    uint64_t bytes;        /* length of the file */
    int error;             /* the errno of the first failure, EDQUOT if the limit of dir was reached; 0: none */
};

void spill_file_init(struct spill_file *f, struct spill_dir *dir);
void spill_file_release(struct spill_file *f);
/* Empties the file. If the file is large, also frees its space. The bytes are lost; the file can be used again. */
void spill_file_empty(struct spill_file *f);
/* Returns false when the bytes cannot be written; f->error says why. Later writes fail too. */
MUST_CHECK bool spill_file_write(struct spill_file *f, uint64_t offset, const char *bytes, size_t len);
/* Reads exactly len bytes that were written before. */
MUST_CHECK bool spill_file_read(struct spill_file *f, uint64_t offset, char *bytes, size_t len);

/* Maps bytes that were written before: the bytes are read from the disk only when they are used. The bytes must not be
 * changed. The mapped bytes are valid until spill_file_unmap(), spill_file_empty() or spill_file_release(). Returns
 * NULL on failure. */
MUST_CHECK char *spill_file_map(struct spill_file *f, uint64_t offset, size_t len);
void spill_file_unmap(uint64_t offset, char *bytes, size_t len);

/* Returns a few words that say why the write or read failed. The text is borrowed until the next call. */
const char *spill_file_why(const struct spill_file *f);

#endif
