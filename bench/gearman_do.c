/*
 * gearman_do PORT COUNT: measures the round trip of gearman_client_do() through the gearmand at 127.0.0.1:PORT. The
 * worker squares an integer, in its own process.
 */
#include <libgearman/gearman.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static gearman_return_t square(gearman_job_st *job, void *data)
{
    char text[32];
    size_t size = gearman_job_workload_size(job);
    memcpy(text, gearman_job_workload(job), size < sizeof text ? size : sizeof text - 1);
    text[size < sizeof text ? size : sizeof text - 1] = '\0';
    long n = strtol(text, NULL, 10);
    int len = snprintf(text, sizeof text, "%ld", n * n);
    return gearman_job_send_complete(job, text, (size_t)len);
}

static void serve(in_port_t port)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    gearman_worker_st *worker = gearman_worker_create(NULL);
    check(gearman_success(gearman_worker_add_server(worker, "127.0.0.1", port)), "gearman_worker_add_server");
    gearman_function_t function = gearman_function_create(square);
    check(gearman_success(gearman_worker_define_function(worker, "square", 6, function, 0, NULL)), "define");
    while (gearman_success(gearman_worker_work(worker))) continue;
    _exit(1);
}

static void round_trip(gearman_client_st *client)
{
    size_t size;
    gearman_return_t status;
    void *result = gearman_client_do(client, "square", NULL, "12", 2, &size, &status);
    check(gearman_success(status) && size == 3 && memcmp(result, "144", 3) == 0, "gearman_client_do");
    free(result);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: gearman_do PORT COUNT\n", stderr);
        return 2;
    }
    in_port_t port = (in_port_t)parse_count(argv[1]);
    size_t count = (size_t)parse_count(argv[2]);
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) serve(port);
    gearman_client_st *client = gearman_client_create(NULL);
    check(gearman_success(gearman_client_add_server(client, "127.0.0.1", port)), "gearman_client_add_server");
    for (size_t i = 0; i < count / 10; i++) round_trip(client);
    uint64_t *ns = xcalloc(count, sizeof *ns);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = now_ns();
        round_trip(client);
        ns[i] = now_ns() - start;
    }
    print_latencies(ns, count);
    free(ns);
    gearman_client_free(client);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}
