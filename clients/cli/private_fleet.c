#include "private_fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

#define DIR_PREFIX "fantail-map-" /* nobody else makes such names */
#define STALE_S    60             /* a younger directory may not be locked yet */

static bool fail(char *err, size_t err_size, const char *what, const char *path)
{
    snprintf(err, err_size, "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

static bool make_dir(struct private_fleet *p, const char *below, char *err, size_t err_size)
{
    char path[sizeof(p->dir) + 32];
    snprintf(path, sizeof(path), "%s/%s", p->dir, below);
    return mkdir(path, 0700) == 0 || fail(err, err_size, "make", path);
}

/* The command as a task of mode exec, run where this program was started. */
static void describe_command(const struct map_options *o, struct buf *json)
{
    char cwd[4096];
    buf_add_str(json, "{\"mode\":\"exec\",\"command\":[");
    for (char **word = o->command; *word; word++) {
        if (word != o->command) buf_add_char(json, ',');
        buf_add_json_string(json, *word, strlen(*word));
    }
    buf_addf(json, "],\"input\":\"%s\",\"append\":%s,\"output\":\"%s\"", o->text ? "text" : "json",
             o->to_stdin ? "false" : "true", o->values_are_text ? "text" : "auto");
    if (getcwd(cwd, sizeof(cwd))) {
        buf_add_str(json, ",\"cwd\":");
        buf_add_json_string(json, cwd, strlen(cwd));
    }
    buf_add_str(json, "}\n");
}

static bool write_command(struct private_fleet *p, const struct map_options *o, char *err, size_t err_size)
{
    char path[sizeof(p->dir) + 32];
    struct buf json = {0};
    if (!make_dir(p, "tasks", err, err_size) || !make_dir(p, "tasks/command", err, err_size)) return false;
    snprintf(path, sizeof(path), "%s/tasks/command/task.json", p->dir);
    describe_command(o, &json);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, json.data, json.len) == (ssize_t)json.len;
    if (fd >= 0) close(fd);
    buf_release(&json);
    return good || fail(err, err_size, "write", path);
}

static const char *tmp_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp ? tmp : "/tmp";
}

/* -1 when another run holds it. */
static int open_locked(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    close(fd);
    return -1;
}

bool private_fleet_start(struct private_fleet *p, const struct map_options *o, char *err, size_t err_size)
{
    static char tasks[sizeof(p->dir) + 8];
    *p = (struct private_fleet){.lock_fd = -1};
    snprintf(p->dir, sizeof(p->dir) - 32, "%s/" DIR_PREFIX "XXXXXX", tmp_dir());
    if (!mkdtemp(p->dir)) {
        bool no = fail(err, err_size, "make a directory like", p->dir);
        p->dir[0] = '\0';
        return no;
    }
    p->lock_fd = open_locked(p->dir);
    if (o->command && !write_command(p, o, err, err_size)) return false;
    snprintf(tasks, sizeof(tasks), "%s/tasks", p->dir);
    struct fleet_options options = {
        .tasks_dir = o->command ? tasks : o->tasks,
        .workers = (unsigned)o->workers,
        .processes = (unsigned)o->processes,
        .tmp_dir = p->dir,
        .log_level = "error",
    };
    p->fleet = fleet_start(&options, err, err_size);
    return p->fleet != NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool is_ours(const char *path)
{
    struct stat st;
    bool named = strncmp(strrchr(path, '/') + 1, DIR_PREFIX, strlen(DIR_PREFIX)) == 0;
    return named && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           st.st_mtime + STALE_S < time(NULL);
}

/* A run that was killed outright could not clean up: its directory is there, and nobody holds its lock. */
static void remove_stale(void)
{
    DIR *dir = opendir(tmp_dir());
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char path[4096];
        int len = snprintf(path, sizeof(path), "%s/%s", tmp_dir(), entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path) || !is_ours(path)) continue;
        int fd = open_locked(path);
        if (fd < 0) continue;
        remove_tree(path);
        close(fd);
    }
    if (dir) closedir(dir);
}

void private_fleet_end(struct private_fleet *p)
{
    if (!p->dir[0]) return;
    fleet_kill(p->fleet);
    p->fleet = NULL;
    remove_tree(p->dir);
    p->dir[0] = '\0';
    if (p->lock_fd >= 0) close(p->lock_fd);
    remove_stale();
}
