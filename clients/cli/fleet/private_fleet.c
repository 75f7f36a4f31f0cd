#include "cli/fleet/private_fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/json/json_scan.h"

static bool fail(char *err, size_t err_size, const char *what, const char *path)
{
    snprintf(err, err_size, "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

static char *path_below(const struct private_fleet *p, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", p->dir.path, name) < 0) BUG("out of memory for a path");
    return path;
}

static bool is_utf8(const char *text)
{
    size_t len = strlen(text), at = 0;
    /* json_text_length() also stops at control characters and quotes, which are valid UTF-8. */
    while ((at += json_text_length(text + at, len - at)) < len && (unsigned char)text[at] < 0x80) at++;
    return at == len;
}

/* Returns the path of the current directory, or NULL if it cannot be determined. task.json cannot hold a path that is
 * not UTF-8. If the current directory has such a path, returns the path of a symbolic link to it, in the run's
 * directory. */
static char *working_dir(const struct private_fleet *p)
{
    char *cwd = get_current_dir_name();
    if (!cwd || is_utf8(cwd)) return cwd;
    char *link = path_below(p, "cwd");
    bool linked = symlink(cwd, link) == 0;
    free(cwd);
    if (linked) return link;
    free(link);
    return NULL;
}

/* Writes the task.json of the command, a task of mode exec. The command runs in this program's current directory. */
static void describe_command(const struct private_fleet *p, const struct private_fleet_options *o, struct buf *json)
{
    char *cwd = working_dir(p);
    buf_add_str(json, "{\"mode\":\"exec\",\"command\":[");
    for (char *const *word = o->command; *word; word++) {
        if (word != o->command) buf_add_char(json, ',');
        buf_add_json_string(json, *word, strlen(*word));
    }
    buf_addf(json, "],\"input\":\"%s\",\"append\":%s,\"row\":%s,\"output\":\"%s\"", o->items_are_text ? "text" : "json",
             o->item_to_stdin ? "false" : "true", o->items_are_rows ? "true" : "false",
             o->values_are_text ? "text" : "auto");
    if (o->placeholder) {
        buf_add_str(json, ",\"placeholder\":");
        buf_add_json_string(json, o->placeholder, strlen(o->placeholder));
    }
    if (cwd) {
        buf_add_str(json, ",\"cwd\":");
        buf_add_json_string(json, cwd, strlen(cwd));
    }
    buf_add_str(json, "}\n");
    free(cwd);
}

static bool write_file(const char *path, const struct buf *text, char *err, size_t err_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text->data, text->len) == (ssize_t)text->len;
    if (!good) fail(err, err_size, "write", path);
    if (fd >= 0) close(fd);
    return good;
}

/* Creates a tasks directory with one task, "command". */
static bool write_command(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    struct buf json = {0};
    p->tasks_dir = path_below(p, "tasks");
    char *task = path_below(p, "tasks/command"), *file = path_below(p, "tasks/command/task.json");
    bool good = (mkdir(p->tasks_dir, 0700) == 0 && mkdir(task, 0700) == 0) || fail(err, err_size, "create", task);
    describe_command(p, o, &json);
    good = good && write_file(file, &json, err, err_size);
    buf_release(&json);
    free(task);
    free(file);
    return good;
}

/* Creates the temporary directory. Its path must be UTF-8, because JSON and messages will contain the path. */
static bool make_dir(struct private_fleet *p, char *err, size_t err_size)
{
    if (!run_dir_make(&p->dir, RUN_DIR_MAP, SIZE_MAX, err, err_size)) return false;
    if (is_utf8(p->dir.path)) return true;
    snprintf(err, err_size, "TMPDIR must be UTF-8, and %s is not", p->dir.path);
    return false;
}

bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    *p = (struct private_fleet){0};
    if (!make_dir(p, err, err_size)) return false;
    if (o->command && !write_command(p, o, err, err_size)) return false;
    struct fleet_options options = {
        .tasks_dir = o->command ? p->tasks_dir : o->tasks_dir,
        .workers = o->workers,
        .processes = o->processes,
        .tmp_dir = p->dir.path,
        .log_level = "error",
        .admin_port = -1,
        .relays = true,
        .shows_name = o->command == NULL,
    };
    p->fleet = fleet_start(&options, err, err_size);
    run_dirs_sweep(&p->dir);
    return p->fleet != NULL;
}

void private_fleet_end(struct private_fleet *p)
{
    fleet_kill(p->fleet);
    p->fleet = NULL;
    locked_dir_remove(&p->dir);
    free(p->tasks_dir);
    p->tasks_dir = NULL;
}
