#include "cli/base/program.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns 0 if the file can be executed, otherwise an errno. */
static int check_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) return errno;
    if (S_ISDIR(st.st_mode)) return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

bool program_can_run(const char *word, const char **why)
{
    const char *path = getenv("PATH");
    int error = ENOENT;
    if (strchr(word, '/')) {
        error = check_file(word);
        *why = strerror(error);
        return error == 0;
    }
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at && *word;) {
        char file[4096];
        int len = (int)strcspn(at, ":");
        snprintf(file, sizeof(file), "%.*s/%s", len ? len : 1, len ? at : ".", word);
        int found = check_file(file);
        if (found == 0) return true;
        if (found == EACCES) error = EACCES;
        at += len + (at[len] == ':');
    }
    *why = error == EACCES ? strerror(EACCES) : "no such program in PATH";
    return false;
}
