#include "cli/fleet/run_dir.h"

#include <errno.h>

/* No other program uses these prefixes. */
static const char *const prefixes[] = {[RUN_DIR_MAP] = "fantail-map-", [RUN_DIR_FLEET] = "fantail-fleet-"};
static_assert(ARRAY_SIZE(prefixes) == RUN_DIR_KIND_COUNT, "a prefix for each kind");

bool run_dir_make(struct locked_dir *d, enum run_dir_kind kind, size_t max_len, char *err, size_t err_size)
{
    const char *base = temporary_base();
    if (strlen(base) + strlen("/XXXXXX") + strlen(prefixes[kind]) > max_len) base = "/tmp";
    if (locked_dir_make(d, base, prefixes[kind])) return true;
    snprintf(err, err_size, "cannot create a directory %s/%s...: %s", base, prefixes[kind], strerror(errno));
    return false;
}

void run_dirs_sweep(const struct locked_dir *d)
{
    char *base = xstrndup(d->path, (size_t)(strrchr(d->path, '/') - d->path));
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) locked_dirs_sweep(base, prefixes[i]);
    free(base);
}
