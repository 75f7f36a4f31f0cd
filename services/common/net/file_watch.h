/*
 * Notices when files change. Kubernetes replaces a mounted Secret by changing a symbolic link; other tools overwrite
 * one file after another. So every few seconds, the files are looked up by their paths. A change is reported when two
 * checks in a row find the same files, and these are not the files that the owner last read.
 *
 * This module does not know what the files contain. Single-threaded.
 */
#ifndef FANTAIL_COMMON_NET_FILE_WATCH_H
#define FANTAIL_COMMON_NET_FILE_WATCH_H

#include <sys/types.h>
#include <time.h>
#include <uv.h>

#include "common/base/base.h"

#define FILE_WATCH_MAX 3

/* Identifies the content of a file without reading it. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct file_watch {
    const char *paths[FILE_WATCH_MAX]; /* NULL: none; borrowed */
    struct file_stamp read[FILE_WATCH_MAX], seen[FILE_WATCH_MAX];
    void (*changed)(void *data);
    void *data;
    uv_timer_t *timer;
};

/* At most FILE_WATCH_MAX paths. */
void file_watch_init(struct file_watch *w, const char *const *paths, size_t count);
/* Call it right before reading the files, so that a change during the reading is detected too. */
void file_watch_reading(struct file_watch *w);
/* Returns whether the files have changed since the last file_watch_reading(). The files may still be changing. */
bool file_watch_differs(const struct file_watch *w);
/* From now on the loop calls changed(data) after a change. changed() must call file_watch_reading() and then read the
 * files. The watch does not keep the loop alive. If the watch has no paths, does nothing. */
void file_watch_start(struct file_watch *w, uv_loop_t *loop, void (*changed)(void *data), void *data);
/* A zeroed watch is fine. The loop must keep running until the timer is closed. */
void file_watch_stop(struct file_watch *w);

#endif
