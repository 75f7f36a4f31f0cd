/*
 * bare_spawn_loop RUNS AT_ONCE INPUT COMMAND [ARGUMENTS]: runs a command RUNS times with posix_spawn. Each run gets
 * INPUT on standard input, and its output is read. AT_ONCE processes of this program each run one command at a time.
 * These processes do only what is needed to run commands.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void run_once(char **command, const char *input, size_t input_len)
{
    int in[2], out[2], status;
    pid_t pid;
    char output[65536];
    posix_spawn_file_actions_t actions;
    check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipe2");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    errno = posix_spawn(&pid, command[0], &actions, NULL, command, environ);
    check(errno == 0, command[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    check(write(in[1], input, input_len) == (ssize_t)input_len, "write");
    close(in[1]);
    while (read(out[0], output, sizeof output) > 0) continue;
    close(out[0]);
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    check(status == 0, "the command failed");
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: bare_spawn_loop RUNS AT_ONCE INPUT COMMAND [ARGUMENTS]\n", stderr);
        return 2;
    }
    long runs = parse_count(argv[1]), at_once = parse_count(argv[2]);
    uint64_t start = now_ns();
    for (long p = 0; p < at_once; p++) {
        pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid > 0) continue;
        for (long i = p; i < runs; i += at_once) run_once(argv + 4, argv[3], strlen(argv[3]));
        _exit(0);
    }
    for (int status; wait(&status) > 0;) check(status == 0, "a process failed");
    double seconds = seconds_since(start);
    printf("{\"seconds\":%.4f,\"per_second\":%.0f}\n", seconds, (double)runs / seconds);
    return 0;
}
