/*
 * Removes a directory that a task or another program has filled. Its directories may be nested to any depth, and may be
 * closed to their owner. It needs three file descriptors.
 */
#ifndef FANTAIL_COMMON_FILES_REMOVE_TREE_H
#define FANTAIL_COMMON_FILES_REMOVE_TREE_H

#include "common/base/base.h"

/* Removes a directory with its contents, but nothing on other file systems. Symbolic links are removed, and not
 * followed. What cannot be removed stays. */
void remove_tree(const char *path);

#endif
