/* A pool with real processes: the tasks are small shell programs, and the test runs the loop. */
#ifndef FANTAIL_TEST_POOL_HARNESS_H
#define FANTAIL_TEST_POOL_HARNESS_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/observe/log.h"
#include "unit/leaks.h"
#include "worker/pool/pool.h"

/* Answers each item with itself, except these items: "crash" kills the process, "hang" is not answered, "exit" ends the
 * process, and "bad" is answered with text that is not JSON. */
#define SCRIPT                                                                                                         \
    "while read -r x; do case $x in *crash*) echo dying >&2; kill -9 $$;; *hang*) sleep 1000;; *exit*) exit 3;; "      \
    "*bad*) echo nonsense;; *) echo \"{\\\"value\\\":$x}\";; esac; done"

static uv_loop_t loop;
static struct reaper reaper;
static struct process_env env;
static struct pool pool;
static struct task *task;

static void start(const char *script, unsigned size)
{
    log_set_level(LOG_LEVEL_ERROR);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert(reaper_init(&reaper, &loop));
    env = (struct process_env){.loop = &loop, .reaper = &reaper, .worker_id = "w"};
    task = xcalloc(1, sizeof *task);
    *task = (struct task){.refs = 1,
                          .name = xstrdup("t"),
                          .envelope = true,
                          .batch = 1,
                          .error_bytes = DEFAULT_ERROR_TAIL_BYTES,
                          .path = xstrdup("/bin/sh")};
    task->argv = xcalloc(4, sizeof *task->argv);
    task->argv[0] = xstrdup("sh");
    task->argv[1] = xstrdup("-c");
    task->argv[2] = xstrdup(script);
    /* An error names this command, and not the script, because tests count words that are also in the script. */
    static const char *const command[] = {"./task", NULL};
    task->command = command;
    task->cwd = xstrdup("/");
    task->env = xcalloc(2, sizeof *task->env);
    task->env[0] = xstrdup("PATH=/usr/bin:/bin");
    pool_init(&pool, &env, task, size);
}

static void on_closed(uv_handle_t *handle)
{
}

static void stop(void)
{
    pool_close(&pool, on_closed);
    while (reaper_poll(&reaper)) usleep(1000);
    reaper_close(&reaper);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    task_unref(task);
    uv_library_shutdown();
    assert_no_leaks();
}

static struct chunk *submit(const char *items)
{
    struct chunk_fault fault;
    struct chunk *c = chunk_new(true, 0);
    cr_assert(chunk_add(c, items, strlen(items), &fault));
    cr_assert(chunk_finish(c, &fault));
    pool_submit(&pool, c);
    pool_feed(&pool);
    return c;
}

static void add_lines(void *text, const char *lines, size_t len)
{
    buf_add(text, lines, len);
}

/* Returns the answers that the chunk has so far, NUL-terminated. */
static const char *output(const struct chunk *c)
{
    static struct buf text;
    buf_clear(&text);
    line_queue_each(&c->out, add_lines, &text);
    return buf_cstr(&text);
}

/* Runs the loop until the chunk has ended. Returns its answers, NUL-terminated. */
static const char *answers(struct chunk *c)
{
    while (!c->ended) uv_run(&loop, UV_RUN_ONCE);
    return output(c);
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) n++;
    return n;
}

static void finish(struct chunk *c)
{
    pool_cancel(&pool, c);
    chunk_unref(c);
}

#endif
