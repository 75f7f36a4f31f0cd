#include "cli/runs/results_dir.h"

#include <errno.h>
#include <unistd.h>

#include "cli/base/make_folders.h"
#include "common/json/encoding.h"

/* Returns whether GNU parallel would treat the path as something other than a folder. */
static bool has_other_form(const char *path)
{
    static const char *const ends[] = {".csv", ".tsv", ".json"};
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (len >= strlen(ends[i]) && strcmp(path + len - strlen(ends[i]), ends[i]) == 0) return true;
    return strchr(path, '{') != NULL;
}

static bool make(const char *path)
{
    struct stat st;
    char *copy = xstrdup(path);
    bool good = make_folders(copy, 0777) && stat(path, &st) == 0;
    free(copy);
    if (good && !S_ISDIR(st.st_mode)) errno = ENOTDIR;
    return good && S_ISDIR(st.st_mode) && access(path, W_OK | X_OK) == 0;
}

bool results_dir_make(const char *path, bool raw, char *err, size_t err_size)
{
    if (has_other_form(path))
        snprintf(err, err_size, "must be a folder. Placeholders and the files .csv, .tsv and .json are not supported");
    else if (!raw && path[encoding_text_length(path, strlen(path))])
        snprintf(err, err_size, "is not valid UTF-8; --raw allows it");
    else if (!make(path))
        snprintf(err, err_size, "cannot use the folder %.200s: %s", path, strerror(errno));
    else
        return true;
    return false;
}
