/*
 * Kills the processes that a command leaves running when it ends. This process is a subreaper: it becomes the parent of
 * each descendant whose own parent has died, even after setsid(). A process that this program may not kill, such as one
 * with another user id, lives on.
 */
#ifndef FANTAIL_HOSTS_EXEC_ORPHANS_H
#define FANTAIL_HOSTS_EXEC_ORPHANS_H

/* Call it before the first command starts. */
void exec_orphans_adopt(void);

/* Kills and reaps every child of this process, and their descendants. Call it only when no command runs. Does nothing
 * if the kernel does not list children (CONFIG_PROC_CHILDREN). */
void exec_orphans_kill(void);

#endif
