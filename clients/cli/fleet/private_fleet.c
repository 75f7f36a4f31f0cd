#include "cli/fleet/private_fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/json/json_scan.h"

/* With a longer path, a task has less than 20 bytes for the name of a socket in its temporary directory. The worker
 * then chooses a directory with a shorter path. */
#define SCRATCH_MOST_BYTES 75

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

/* Returns the path of `folder`, or of the current directory if `folder` is NULL. Returns NULL after a failure.
 * task.json cannot hold a path that is not UTF-8. If the path is not UTF-8, returns the path of a symbolic link to this
 * directory instead. The link is in the run's directory. */
static char *working_dir(const struct private_fleet *p, const char *folder)
{
    char *cwd = folder ? realpath(folder, NULL) : get_current_dir_name();
    if (!cwd || is_utf8(cwd)) return cwd;
    char *link = path_below(p, "cwd");
    bool linked = symlink(cwd, link) == 0;
    free(cwd);
    if (linked) return link;
    free(link);
    return NULL;
}

static bool write_file(const char *path, const struct buf *text, char *err, size_t err_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text->data, text->len) == (ssize_t)text->len;
    if (!good) fail(err, err_size, "write", path);
    if (fd >= 0) close(fd);
    return good;
}

/* Writes the task.json of the command. */
static bool write_task(const struct private_fleet *p, const struct command_task *t, const struct command_files *files,
                       char *err, size_t err_size)
{
    struct buf json = {0};
    char *cwd = working_dir(p, t->folder), *file = path_below(p, "tasks/" COMMAND_TASK_NAME "/task.json");
    command_task_describe(t, files, cwd, &json);
    bool good = write_file(file, &json, err, err_size);
    buf_release(&json);
    free(file);
    free(cwd);
    return good;
}

/* The pipe is also opened for writing, so that reading it never reports end of file. */
static bool make_lines_pipe(struct private_fleet *p, const char *path)
{
    if (mkfifo(path, 0600) == 0) p->lines_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return p->lines_fd >= 0;
}

/* Creates a tasks directory that has the task of the command. Beside it, creates the gate file, and the pipe for lines
 * if the command needs it. */
static bool write_command(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    p->tasks_dir = path_below(p, "tasks");
    char *task = path_below(p, "tasks/" COMMAND_TASK_NAME), *gate = path_below(p, "gate");
    char *lines = path_below(p, "lines");
    const struct command_files files = {gate, lines};
    bool good = (mkdir(p->tasks_dir, 0700) == 0 && mkdir(task, 0700) == 0) || fail(err, err_size, "create", task);
    unsigned seats = o->workers * o->processes;
    good = good && (gate_file_make(&p->gate, gate, &o->command->rules, seats, o->command->running_max) ||
                    fail(err, err_size, "create", gate));
    if (o->command->passes_lines) good = good && (make_lines_pipe(p, lines) || fail(err, err_size, "create", lines));
    good = good && write_task(p, o->command, &files, err, err_size);
    free(task);
    free(gate);
    free(lines);
    return good;
}

/* Creates the temporary directory. The path of the temporary directory must be UTF-8, because JSON and messages will
 * contain the path. */
static bool make_dir(struct private_fleet *p, char *err, size_t err_size)
{
    if (!run_dir_make(&p->dir, RUN_DIR_MAP, SIZE_MAX, err, err_size)) return false;
    if (is_utf8(p->dir.path)) return true;
    snprintf(err, err_size, "TMPDIR must be UTF-8, and %s is not", p->dir.path);
    return false;
}

bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    *p = (struct private_fleet){.lines_fd = -1};
    if (!make_dir(p, err, err_size)) return false;
    if (o->command && !write_command(p, o, err, err_size)) return false;
    char *cwd = o->command ? NULL : working_dir(p, NULL);
    struct fleet_options options = {
        .tasks_dir = o->command ? p->tasks_dir : o->tasks_dir,
        .task_cwd = cwd,
        .workers = o->workers,
        .processes = o->processes,
        .is_private = true,
        .scratch_dir = strlen(p->dir.path) <= SCRATCH_MOST_BYTES ? p->dir.path : NULL,
        .log_level = "error",
        .admin_port = -1,
        .relays = true,
        .shows_name = o->command == NULL,
    };
    p->fleet = fleet_start(&options, err, err_size);
    free(cwd);
    run_dirs_sweep(&p->dir);
    return p->fleet != NULL;
}

void private_fleet_end(struct private_fleet *p)
{
    fleet_kill(p->fleet);
    p->fleet = NULL;
    gate_file_release(&p->gate);
    if (p->lines_fd >= 0) close(p->lines_fd);
    p->lines_fd = -1;
    locked_dir_remove(&p->dir);
    free(p->tasks_dir);
    p->tasks_dir = NULL;
}
