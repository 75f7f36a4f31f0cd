/*
 * Kills the processes that a command leaves running when it ends. This process is a subreaper: it becomes the parent of
 * each descendant whose own parent has died, even after setsid(). If this program has no permission to kill a process,
 * for example because of another user id, that process lives on.
 */
#ifndef FANTAIL_HOSTS_EXEC_ORPHANS_H
#define FANTAIL_HOSTS_EXEC_ORPHANS_H

/* Call it before the first command starts. */
void exec_orphans_adopt(void);

/* Kills and reaps every child of this process, and all descendants of these children. Call it only when no command
 * runs. Does nothing if the kernel does not list children (CONFIG_PROC_CHILDREN). */
void exec_orphans_kill(void);

#endif
