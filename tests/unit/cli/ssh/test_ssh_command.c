/* The command line of ssh. The test plays the host: a shell runs the command that ssh would send. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ssh/ssh_command.h"

static char folder[] = "/tmp/fantail-test-XXXXXX";
static char far[64], tasks[64], program[64];

static void make(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(far, sizeof far, "%s/far", folder);
    snprintf(tasks, sizeof tasks, "%s/it's $HOME", folder);
    snprintf(program, sizeof program, "%s/worker", folder);
}

/* Runs a shell, and returns what it writes, and its exit status in *status. */
static char *run_shell(const char *code, int *status)
{
    static char text[8192];
    int ends[2];
    size_t len = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execl("/bin/sh", "sh", "-c", code, (char *)NULL);
        _exit(126);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;) len += (size_t)n;
    close(ends[0]);
    text[len] = '\0';
    cr_assert_eq(waitpid(child, status, 0), child);
    *status = WEXITSTATUS(*status);
    return text;
}

static void remove_all(void)
{
    char code[128];
    int status;
    snprintf(code, sizeof code, "rm -rf %s", folder);
    run_shell(code, &status);
    cr_assert_eq(status, 0);
}

static char **command(const char *host)
{
    char *const options[] = {(char[]){"--log-level"}, (char[]){"a b'c"}, NULL};
    struct ssh_targets t;
    char err[256];
    cr_assert(ssh_targets_read(&t, host, err, sizeof err));
    const struct ssh_command c = {
        .target = t.list, .near = "/n", .far = far, .program = program, .tasks = tasks, .options = options};
    char **argv = ssh_command_make(&c);
    ssh_targets_release(&t);
    return argv;
}

static const char *last(char **argv)
{
    while (argv[1]) argv++;
    return *argv;
}

/* Runs the command for the host `node`, with its standard error. Returns its output, and its exit status in *status. */
static char *output(int *status)
{
    char **argv = command("node"), *line;
    cr_assert_gt(asprintf(&line, "PATH=/usr/bin:/bin; export PATH; %s", last(argv)), 0);
    char *text = run_shell(line, status);
    free(line);
    ssh_command_free(argv);
    return text;
}

static void write_program(const char *script)
{
    FILE *file = fopen(program, "we");
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    chmod(program, 0700);
}

Test(ssh_command, the_host_is_no_option_and_the_port_is_one)
{
    make();
    char **argv = command("ann@node:2222");
    size_t n = 0;
    while (argv[n]) n++;
    cr_assert_str_eq(argv[0], "ssh");
    cr_assert_str_eq(argv[n - 5], "-p");
    cr_assert_str_eq(argv[n - 4], "2222");
    cr_assert_str_eq(argv[n - 3], "--");
    cr_assert_str_eq(argv[n - 2], "ann@node");
    ssh_command_free(argv);
    remove_all();
}

Test(ssh_command, the_worker_gets_its_words_unchanged_in_a_private_folder_that_is_removed)
{
    int status;
    char want[1024];
    make();
    cr_assert_eq(mkdir(tasks, 0700), 0);
    write_program("d=${2#unix:}; stat -c %a \"${d%/worker}\"; printf '<%s>' \"$@\"; exit 7");
    const char *text = output(&status);
    snprintf(want, sizeof want,
             "700\n<--host><unix:%s/worker><--tasks><%s><--worker-id><node><--ready-fd><1><--stdin-lease-s><15>"
             "<--log-level><a b'c>",
             far, tasks);
    cr_assert_str_eq(text, want);
    cr_assert_eq(status, 7);
    cr_assert_neq(access(far, F_OK), 0);
    remove_all();
}

Test(ssh_command, a_host_without_the_worker_or_the_tasks_says_so)
{
    int status;
    char want[256];
    make();
    cr_assert_str_eq(output(&status), "fantail-worker is neither in PATH nor at the path that it has on the "
                                      "coordinator's machine\n");
    cr_assert_eq(status, 127);
    write_program("exit 0");
    snprintf(want, sizeof want, "the folder of the tasks does not exist on this host: %s\n", tasks);
    cr_assert_str_eq(output(&status), want);
    cr_assert_eq(status, 2);
    remove_all();
}

Test(ssh_command, the_folder_of_somebody_else_is_not_used)
{
    int status;
    make();
    cr_assert_eq(mkdir(tasks, 0700), 0);
    cr_assert_eq(mkdir(far, 0777), 0);
    write_program("echo started");
    cr_assert_null(strstr(output(&status), "started"));
    cr_assert_eq(status, 1);
    cr_assert_eq(access(far, F_OK), 0);
    remove_all();
}

Test(ssh_command, a_path_that_ssh_would_change_is_not_plain)
{
    static const char *const odd[] = {"/a:b", "/a%h", "/${HOME}", "/a b", "/a\\b", "/[x]", "/\"", "/ä"};
    cr_assert(ssh_command_is_plain("/tmp/fantail-fleet-aB3_x.y+z"));
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) cr_assert_not(ssh_command_is_plain(odd[i]), "%s", odd[i]);
}
