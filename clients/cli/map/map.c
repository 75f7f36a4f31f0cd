/* `fantail map`: the loop. See map_internal.h for how a run works. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/map/map.h"
#include "cli/map/map_internal.h"

enum { POLL_INTERRUPT, POLL_STDOUT, POLL_STDIN, POLL_OTHERS };

void map_run_fail(struct map_run *run, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    if (run->stopped) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    output_flush(&run->output);
    progress_clear(&run->progress);
    complain("%s", text);
    run->stopped = true;
    run->status = EXIT_JOB_FAILED;
}

static void draw_progress(struct map_run *run, uint64_t now)
{
    const struct input *in = &run->input;
    struct progress_state state = {.done = run->done, .failed = run->failures.count, .note = run->note};
    state.total_is_sure = in->ended;
    if (in->ended)
        state.total = in->lines;
    else if (in->file_size && in->bytes)
        state.total = (uint64_t)((double)in->lines * (double)in->file_size / (double)in->bytes);
    progress_draw(&run->progress, &state, now);
}

/* The private fleet came up, or lost a service. */
static void turn_fleet(struct map_run *run)
{
    struct fleet *f = run->private_fleet.fleet;
    char err[256];
    if (!fleet_turn(f)) {
        map_run_fail(run, "%s", fleet_error(f));
        return;
    }
    if (run->target_known || !fleet_is_ready(f)) return;
    const struct target_config own = {.url = fleet_url(f)};
    if (!target_init(&run->target, &own, err, sizeof(err))) map_run_fail(run, "%s", err);
    run->target_known = true;
}

/* --max-concurrency is of the run, for the service it is of a job. */
static unsigned jobs_max(const struct map_run *run)
{
    return run->options->max_concurrency > 0 ? 1 : MAP_JOBS;
}

/* What is out will keep the fleet busy for a good while, at the pace so far: more jobs would only take the turns of
 * other people's jobs, as jobs share the fleet. */
static bool enough_is_out(const struct map_run *run, uint64_t now)
{
    if (run->count < MAP_JOBS_SLOW) return false;
    double pace = now > run->began_ns ? (double)run->done / (double)(now - run->began_ns) : 0;
    return (double)(run->lines_out - run->done) > pace * (double)(MAP_OUT_S * NS_PER_S);
}

static bool may_start(const struct map_run *run, uint64_t now)
{
    if (run->stopped || !run->target_known || run->count >= jobs_max(run)) return false;
    if (run->count && run->bytes_in_flight + run->input.cut > MAP_JOB_BYTES) return false;
    if (enough_is_out(run, now)) return false;
    return input_has_batch(&run->input, run->count == 0, now);
}

struct map_job *map_run_take_idle(struct map_run *run)
{
    struct map_job *j = run->idle[MAP_JOBS - run->count - 1];
    run->running[run->count++] = j;
    run->asked = true;
    j->answered = j->base = j->seek_index = 0;
    j->seek_offset = 0;
    j->retries = 0;
    j->end_seen = j->has_bad = false;
    /* What ran before a refusal runs again, which a command must not. */
    j->vetted = run->options->command != NULL;
    return j;
}

/* A task that does not exist is an error also when there is nothing to do: a job without items asks. */
static bool asks_with_nothing(const struct map_run *run)
{
    return !run->asked && !run->stopped && !run->options->command && run->target_known && input_is_empty(&run->input);
}

static void start_jobs(struct map_run *run, uint64_t now)
{
    while (may_start(run, now)) {
        struct map_job *j = map_run_take_idle(run);
        input_cut(&run->input, &j->batch);
        j->first = run->sent;
        if (run->options->order == MAP_ORDER_COMPLETION) run->sent += batch_count(&j->batch, run->input.skip_blank);
        run->bytes_in_flight += j->batch.len;
        run->lines_out += j->batch.lines;
        if (!run->began_ns) run->began_ns = now;
        map_job_start(run, j, now);
    }
    if (asks_with_nothing(run)) map_job_start(run, map_run_take_idle(run), now);
}

static void retire_jobs(struct map_run *run)
{
    while (run->count && run->running[0]->state == MAP_JOB_ENDED) {
        struct map_job *j = run->running[0];
        run->bytes_in_flight -= j->batch.len;
        run->count--;
        for (unsigned i = 0; i < run->count; i++) run->running[i] = run->running[i + 1];
        j->state = MAP_JOB_FREE;
        run->idle[MAP_JOBS - run->count - 1] = j;
    }
}

static void lower(int *timeout_ms, int to)
{
    if (to >= 0 && (*timeout_ms < 0 || to < *timeout_ms)) *timeout_ms = to;
}

static int timeout_of(const struct map_run *run, uint64_t now)
{
    int timeout_ms = run->progress.on ? PROGRESS_MS : -1;
    if (run->options->reduce && run->target_known && !run->asked) return 0;
    if (run->target_known && run->count < jobs_max(run) &&
        (run->count == 0 || run->bytes_in_flight + run->input.cut <= MAP_JOB_BYTES) && !enough_is_out(run, now))
        lower(&timeout_ms, input_timeout_ms(&run->input, now));
    for (unsigned i = 0; i < run->count; i++) {
        const struct map_job *j = run->running[i];
        if (j->state == MAP_JOB_BACKOFF)
            lower(&timeout_ms, j->retry_ns > now ? (int)((j->retry_ns - now) / NS_PER_MS) + 1 : 0);
        if (map_job_may_skip(run, j, i == 0)) timeout_ms = 0;
    }
    return timeout_ms;
}

static void take_input(struct map_run *run, uint64_t now)
{
    struct input *in = &run->input;
    input_read(in, now);
    if (in->error) map_run_fail(run, "cannot read the items: %s", strerror(in->error));
}

/* Answers, oldest job first, so that input order is printed in one pass over all of them. */
static void step_jobs(struct map_run *run, const struct pollfd *fds, uint64_t now)
{
    bool oldest = true;
    for (unsigned i = 0; i < run->count && !run->stopped; i++) {
        struct map_job *j = run->running[i];
        bool readable = fds[i].revents != 0;
        map_job_step(run, j, oldest, readable, now);
        oldest = oldest && j->state == MAP_JOB_ENDED;
    }
    retire_jobs(run);
}

static void turn(struct map_run *run)
{
    static struct pollfd fds[POLL_OTHERS + FLEET_MAX_POLL_FDS + MAP_JOBS];
    struct fleet *f = run->private_fleet.fleet;
    uint64_t now = now_ns();
    int timeout_ms = timeout_of(run, now);
    fds[POLL_INTERRUPT] = (struct pollfd){.fd = interrupt_fd(), .events = POLLIN};
    fds[POLL_STDOUT] = (struct pollfd){.fd = run->output.fd};
    fds[POLL_STDIN] = (struct pollfd){.fd = input_wants_bytes(&run->input) ? run->input.fd : -1, .events = POLLIN};
    size_t n = POLL_OTHERS;
    if (f) n += fleet_poll_fds(f, fds + n, &timeout_ms);
    struct pollfd *jobs = fds + n;
    for (unsigned i = 0; i < run->count; i++, n++) {
        short events = map_job_events(run, run->running[i], i == 0);
        jobs[i] = (struct pollfd){.fd = events ? run->running[i]->http.fd : -1, .events = events};
    }
    unsigned polled = run->count;
    if (poll(fds, n, timeout_ms) < 0) n = 0;
    now = now_ns();
    if (n == 0 || fds[POLL_INTERRUPT].revents) interrupt_clear();
    if (n && (fds[POLL_STDOUT].revents & POLLERR)) run->output.closed = true;
    if (f && (n == 0 || fds[POLL_INTERRUPT].revents || !fleet_is_ready(f))) turn_fleet(run);
    if (n && polled) step_jobs(run, jobs, now);
    if (n && fds[POLL_STDIN].fd >= 0 && fds[POLL_STDIN].revents) take_input(run, now);
    if (run->options->reduce)
        map_reduce_feed(run, now);
    else
        start_jobs(run, now);
    if (run->output.len) {
        if (isatty(run->output.fd)) progress_clear(&run->progress);
        output_flush(&run->output);
    }
    draw_progress(run, now);
}

static bool is_over(const struct map_run *run)
{
    if (run->stopped || interrupt_signal() || output_failed(&run->output)) return true;
    return run->count == 0 && input_is_empty(&run->input) &&
           (run->asked || (run->options->command && !run->options->reduce));
}

static void init(struct map_run *run, const struct map_options *o)
{
    uint64_t now = now_ns();
    bool bar = o->progress == MAP_PROGRESS_ALWAYS ||
               (o->progress == MAP_PROGRESS_AUTO && !o->quiet && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO));
    input_init(&run->input, STDIN_FILENO, o->null ? INPUT_NULLS : o->text ? INPUT_TEXT : INPUT_JSON);
    output_init(&run->output, STDOUT_FILENO);
    progress_init(&run->progress, bar, now);
    if (o->deadline_s > 0) run->deadline_ns = now + (uint64_t)(o->deadline_s * 1e9);
    for (unsigned i = 0; i < MAP_JOBS; i++) {
        connection_init(&run->jobs[i].http, &run->target);
        run->idle[MAP_JOBS - 1 - i] = &run->jobs[i];
    }
}

static bool start_private_fleet(struct map_run *run, const struct map_options *o, char *err, size_t err_size)
{
    const struct private_fleet_options options = {
        .tasks_dir = o->tasks,
        .command = o->command,
        .items_are_text = o->text,
        .values_are_text = o->values_are_text,
        .item_to_stdin = o->to_stdin,
        .workers = (unsigned)o->workers,
        .processes = (unsigned)o->processes,
    };
    return private_fleet_start(&run->private_fleet, &options, err, err_size);
}

/* The fleet starts first: it needs the time that the rest takes. */
static bool begin(struct map_run *run, const struct map_options *o)
{
    char err[512];
    bool good;
    run->options = o;
    interrupt_init();
    if (o->client.url)
        good = run->target_known = target_init(&run->target, &o->client, err, sizeof(err));
    else
        good = start_private_fleet(run, o, err, sizeof(err));
    init(run, o);
    if (!good) {
        map_run_fail(run, "%s", err);
        return false;
    }
    if (!failures_init(&run->failures, o->errors, o->quiet)) {
        map_run_fail(run, "--errors: cannot write %s: %s", o->errors, strerror(errno));
        run->status = EXIT_USAGE;
        return false;
    }
    if (map_reduce_init(&run->reduction, o->reduce && o->errors)) return true;
    map_run_fail(run, "--errors: cannot make a file in $TMPDIR or /tmp to keep the items in: %s", strerror(errno));
    return false;
}

static void release(struct map_run *run)
{
    /* Hanging up cancels what still runs. */
    for (unsigned i = 0; i < MAP_JOBS; i++) {
        connection_release(&run->jobs[i].http);
        free(run->jobs[i].batch.data);
    }
    private_fleet_end(&run->private_fleet);
    map_reduce_release(&run->reduction);
    input_release(&run->input);
    output_release(&run->output);
    target_release(&run->target);
    buf_release(&run->path);
    buf_release(&run->text);
    buf_release(&run->headers);
}

static int finish(struct map_run *run)
{
    output_flush(&run->output);
    progress_clear(&run->progress);
    if (run->output.error) map_run_fail(run, "cannot write the results: %s", strerror(run->output.error));
    uint64_t failed = run->failures.count;
    if (!failures_finish(&run->failures, run->done))
        map_run_fail(run, "%s could not be written whole", run->options->errors);
    if (run->stopped) return run->status;
    return failed ? EXIT_ITEMS_FAILED : EXIT_OK;
}

int command_map(int argc, char **argv)
{
    static struct map_options options;
    static struct map_run run;
    int status;
    if (!map_options_read(&options, argc, argv, &status)) return status;
    if (begin(&run, &options))
        while (!is_over(&run)) turn(&run);
    status = finish(&run);
    bool closed = run.output.closed;
    release(&run);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    /* As other programs in a pipe end when nobody reads them any more. */
    if (closed && status == EXIT_OK) interrupt_die_of(SIGPIPE);
    return status;
}
