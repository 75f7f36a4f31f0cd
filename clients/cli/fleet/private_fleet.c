#include "cli/fleet/private_fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

static bool fail(char *err, size_t err_size, const char *what, const char *path)
{
    snprintf(err, err_size, "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

static bool make_dir(struct private_fleet *p, const char *below, char *err, size_t err_size)
{
    char path[sizeof(p->dir.path) + 32];
    snprintf(path, sizeof(path), "%s/%s", p->dir.path, below);
    return mkdir(path, 0700) == 0 || fail(err, err_size, "create", path);
}

/* Describes the command as a task of mode exec. It runs in the current directory of this program. */
static void describe_command(const struct private_fleet_options *o, struct buf *json)
{
    char cwd[4096];
    buf_add_str(json, "{\"mode\":\"exec\",\"command\":[");
    for (char *const *word = o->command; *word; word++) {
        if (word != o->command) buf_add_char(json, ',');
        buf_add_json_string(json, *word, strlen(*word));
    }
    buf_addf(json, "],\"input\":\"%s\",\"append\":%s,\"output\":\"%s\"", o->items_are_text ? "text" : "json",
             o->item_to_stdin ? "false" : "true", o->values_are_text ? "text" : "auto");
    if (getcwd(cwd, sizeof(cwd))) {
        buf_add_str(json, ",\"cwd\":");
        buf_add_json_string(json, cwd, strlen(cwd));
    }
    buf_add_str(json, "}\n");
}

static bool write_command(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    char path[sizeof(p->dir.path) + 32];
    struct buf json = {0};
    if (!make_dir(p, "tasks", err, err_size) || !make_dir(p, "tasks/command", err, err_size)) return false;
    snprintf(path, sizeof(path), "%s/tasks/command/task.json", p->dir.path);
    describe_command(o, &json);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, json.data, json.len) == (ssize_t)json.len;
    if (fd >= 0) close(fd);
    buf_release(&json);
    return good || fail(err, err_size, "write", path);
}

bool private_fleet_start(struct private_fleet *p, const struct private_fleet_options *o, char *err, size_t err_size)
{
    static char tasks[sizeof(p->dir.path) + 8];
    *p = (struct private_fleet){0};
    if (!run_dir_make(&p->dir, RUN_DIR_MAP, sizeof(p->dir.path) - 32, err, err_size)) return false;
    if (o->command && !write_command(p, o, err, err_size)) return false;
    snprintf(tasks, sizeof(tasks), "%s/tasks", p->dir.path);
    struct fleet_options options = {
        .tasks_dir = o->command ? tasks : o->tasks_dir,
        .workers = o->workers,
        .processes = o->processes,
        .tmp_dir = p->dir.path,
        .log_level = "error",
    };
    p->fleet = fleet_start(&options, err, err_size);
    return p->fleet != NULL;
}

void private_fleet_end(struct private_fleet *p)
{
    fleet_kill(p->fleet);
    p->fleet = NULL;
    run_dir_remove(&p->dir);
}
