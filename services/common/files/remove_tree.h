/*
 * Removes a directory that a task or another program has filled. Subdirectories may be nested to any depth, and their
 * owner may have no right to read them. Removing a directory needs only three file descriptors.
 */
#ifndef FANTAIL_COMMON_FILES_REMOVE_TREE_H
#define FANTAIL_COMMON_FILES_REMOVE_TREE_H

#include "common/base/base.h"

/* Removes a directory with its contents, except contents on other file systems. Removes symbolic links without
 * following them. Contents that cannot be removed stay. */
void remove_tree(const char *path);

#endif
