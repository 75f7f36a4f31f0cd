/* `fantail map`: the loop. See map_internal.h for how a run works. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/status_line.h"
#include "cli/fleet/machine.h"
#include "cli/map/map.h"
#include "cli/map/map_internal.h"
#include "cli/options/jobs_file.h"
#include "common/base/limits.h"

/* The coordinator reports a task that has been loading for half a second. If no answer has arrived this long after the
 * report, the run tells the user. */
#define LOADING_NS (3 * NS_PER_S / 2)

/* When a turn has read this many bytes of the lines that the commands print (--line-buffer), the turn reads no more of
 * them. The pipe of these lines holds no more bytes than this. */
enum { LINES_BYTES = 1 << 20 };

enum { POLL_INTERRUPT, POLL_STDOUT, POLL_STDERR, POLL_STDIN, POLL_CARE, POLL_LINES, POLL_OTHERS };

void map_run_move(struct map_run *run, enum map_run_state to)
{
    static const char *const names[] = {"starting", "ready", "asked", "answered", "stopped"};
    static_assert(ARRAY_SIZE(names) == MAP_RUN_STATE_COUNT, "a name for each state");
    if (to <= run->state) BUG("a run of map: %s to %s", names[run->state], names[to]);
    run->state = to;
}

void map_run_fail(struct map_run *run, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    if (run->state == MAP_STOPPED) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    output_flush(&run->output);
    complain("%s", text);
    map_run_move(run, MAP_STOPPED);
    run->status = EXIT_JOB_FAILED;
}

/* Returns whether the coordinator has reported a loading task, and no answer has arrived since then. */
static bool is_starting(const struct map_run *run)
{
    return run->note && run->note == run->starting_note;
}

/* Tells the user why there are no results yet, but only once in a run. Writes no message if there is a progress line,
 * because that line shows the reason. The service does not say when the task has loaded, so the message does not claim
 * that the task is still loading. */
static void say_loading(struct map_run *run, uint64_t now)
{
    if (run->loading_is_said) return;
    if (!is_starting(run)) run->loading_since_ns = 0;
    if (is_starting(run) && !run->loading_since_ns) run->loading_since_ns = now;
    if (!run->loading_since_ns || now < run->loading_since_ns + LOADING_NS) return;
    run->loading_is_said = true;
    if (run->progress.on || run->options->quiet) return;
    if (run->options->command)
        complain("the command takes a while to start");
    else
        complain("task %s takes a while to load", run->options->task);
}

static void draw_progress(struct map_run *run, uint64_t now)
{
    if (!progress_is_due(&run->progress, now)) return;
    const char *note = !run->note && run->hold_note[0] ? run->hold_note : run->note;
    struct progress_state state = {.done = run->done, .failed = run->failures.count, .note = note};
    state.total = map_end_total(run, &state.total_is_sure);
    progress_draw(&run->progress, &state, now);
}

/* Handles the events of the private fleet: the fleet has become ready, or a service has ended. */
static void turn_fleet(struct map_run *run)
{
    struct fleet *f = run->private_fleet.fleet;
    char err[256];
    if (!fleet_turn(f)) {
        map_run_fail(run, "%s", fleet_error(f));
        return;
    }
    if (run->state != MAP_STARTING || !fleet_is_ready(f)) return;
    const struct target_config own = {.url = fleet_url(f)};
    if (target_init(&run->target, &own, err, sizeof(err)))
        map_run_move(run, MAP_READY);
    else
        map_run_fail(run, "%s", err);
}

/* Returns how many items have begun. With a task, only the number of answered items is known. With `--order input`,
 * only the answers of the oldest job are counted. */
static uint64_t items_begun(const struct map_run *run)
{
    const struct run_gate *gate = run->private_fleet.gate.shared;
    uint64_t begun = gate ? __atomic_load_n(&gate->begun, __ATOMIC_RELAXED) : 0;
    return begun > run->done ? begun : run->done;
}

/* Returns about how many items of the running jobs have not begun. */
static uint64_t items_left(const struct map_run *run)
{
    uint64_t begun = items_begun(run);
    return run->lines_begun > begun ? run->lines_begun - begun : 0;
}

/* Returns whether a private fleet has idle slots. If the input is slow, a job may have a single item, so it takes many
 * jobs to fill the slots. No other client could use the idle slots. */
static bool has_idle_slots(const struct map_run *run)
{
    const struct map_options *o = run->options;
    if (o->client.url) return false;
    unsigned workers = (unsigned)o->workers;
    uint64_t slots = workers * (o->processes ? (uint64_t)o->processes : machine_share(workers));
    return items_left(run) < slots;
}

/* --max-concurrency and --rate limit the whole run, but the service applies the limits to each job. So a run with one
 * of them has only one job at a time. */
static unsigned jobs_max(const struct map_run *run, uint64_t now)
{
    if (run->options->max_concurrency > 0 || run->options->max_rate > 0 || care_is_new(&run->care, now)) return 1;
    if (care_items_max(&run->care, 0, now)) return MAP_JOBS_CAREFUL;
    return has_idle_slots(run) ? MAP_JOBS : MAP_JOBS_USUAL;
}

/* Returns how many items have begun per nanosecond so far. */
static double pace(const struct map_run *run, uint64_t now)
{
    return run->began_ns && now > run->began_ns ? (double)items_begun(run) / (double)(now - run->began_ns) : 0;
}

/* Returns whether the items must start in the order of the input. The service divides a fleet among jobs, so a job must
 * not be sent before nearly all items of the previous job have begun. */
static bool starts_in_order(const struct map_run *run)
{
    return run->private_fleet.gate.shared != NULL;
}

/* Returns whether the running jobs have work for MAP_WORK_S at the present rate. If fewer than MAP_JOBS_SLOW jobs are
 * running, returns false. When the jobs have that much work, more jobs would only reduce the share of other clients,
 * because the service divides the fleet among jobs. If the items start in the order of the input, work for MAP_LEAD_MS
 * is enough, because the next job is sent in this time. */
static bool has_work_enough(const struct map_run *run, uint64_t now)
{
    unsigned least = starts_in_order(run) ? 1 : MAP_JOBS_SLOW;
    uint64_t work_ns = starts_in_order(run) ? MAP_LEAD_MS * NS_PER_MS : MAP_WORK_S * NS_PER_S;
    if (run->count < least || has_idle_slots(run)) return false;
    return (double)items_left(run) > pace(run, now) * (double)work_ns;
}

/* With --rate, the first item of each job may start immediately. So the next job begins only after the time in which
 * the rate allows all items of this job to start. */
static void note_rate(struct map_run *run, uint64_t items, uint64_t now)
{
    double span_ns = run->options->max_rate > 0 ? (double)items / run->options->max_rate * NS_PER_S : 0;
    run->next_job_ns = now + (span_ns < 1e18 ? (uint64_t)span_ns : (uint64_t)1e18);
}

/* Returns whether the run would start another job if there were items for it. */
static bool wants_job(const struct map_run *run, uint64_t now)
{
    if (now < run->next_job_ns) return false;
    if (!map_run_can_ask(run) || run->halted || run->care.gate_closed || run->count >= jobs_max(run, now)) return false;
    if (run->count && run->bytes_in_jobs + run->input.cut > MAP_JOB_BYTES) return false;
    return !has_work_enough(run, now);
}

static bool may_start(const struct map_run *run, uint64_t now)
{
    return wants_job(run, now) && input_has_batch(&run->input, run->count == 0, now);
}

struct map_job *map_run_use_idle(struct map_run *run)
{
    struct map_job *j = run->idle[MAP_JOBS - run->count - 1];
    run->running[run->count++] = j;
    if (run->state == MAP_READY) map_run_move(run, MAP_ASKED);
    j->answered = j->base = j->seek_index = 0;
    j->seek_offset = 0;
    j->tries = (struct outage_tries){0};
    unanswered_clear(&j->unanswered);
    j->count = 0;
    j->end_seen = j->ends_at_bad = false;
    /* If the service refused a job because of a bad item, this program would send the job's other items again, although
     * some may have run. So items that must run only once are checked before they are sent. */
    j->checks_items = run->care.twice == CARE_RUNS_ONCE;
    return j;
}

/* For an input without items, an empty job checks that the task exists. */
static bool needs_empty_job(const struct map_run *run)
{
    return run->state == MAP_READY && !run->options->command && input_is_empty(&run->input);
}

static void start_jobs(struct map_run *run, uint64_t now)
{
    while (may_start(run, now)) {
        struct map_job *j = map_run_use_idle(run);
        input_cut_some(&run->input, &j->batch, care_items_max(&run->care, pace(run, now), now));
        j->first = run->items_begun;
        if (run->options->order == MAP_ORDER_COMPLETION) j->count = batch_count(&j->batch, run->input.skip_blank);
        run->items_begun += j->count;
        run->bytes_in_jobs += j->batch.len;
        run->lines_begun += j->batch.lines;
        note_rate(run, j->batch.lines, now);
        if (!run->began_ns) run->began_ns = now;
        map_job_start(run, j, now);
    }
    if (needs_empty_job(run)) map_job_start(run, map_run_use_idle(run), now);
}

static void retire_jobs(struct map_run *run)
{
    while (run->count && run->running[0]->state == MAP_JOB_ENDED) {
        struct map_job *j = run->running[0];
        run->bytes_in_jobs -= j->batch.len;
        run->count--;
        for (unsigned i = 0; i < run->count; i++) run->running[i] = run->running[i + 1];
        map_job_move(j, MAP_JOB_FREE);
        run->idle[MAP_JOBS - run->count - 1] = j;
    }
}

static void lower(int *timeout_ms, int to)
{
    if (to >= 0 && (*timeout_ms < 0 || to < *timeout_ms)) *timeout_ms = to;
}

static void lower_until(int *timeout_ms, uint64_t when_ns, uint64_t now)
{
    uint64_t left_ms = when_ns > now ? (when_ns - now) / NS_PER_MS + 1 : 0;
    lower(timeout_ms, left_ms < 60000 ? (int)left_ms : 60000);
}

static int timeout_of(const struct map_run *run, uint64_t now)
{
    int timeout_ms = run->progress.on ? PROGRESS_MS : -1;
    if (run->options->reduce && run->state == MAP_READY) return 0;
    if (wants_job(run, now)) lower(&timeout_ms, input_timeout_ms(&run->input, now));
    if (run->next_job_ns > now) lower_until(&timeout_ms, run->next_job_ns, now);
    if (run->care.state == CARE_WAITING) lower_until(&timeout_ms, run->care.retry_ns, now);
    lower_until(&timeout_ms, map_cut_due_ns(run), now);
    if (map_hold_due_ns(run) != UINT64_MAX) lower_until(&timeout_ms, map_hold_due_ns(run), now);
    if (run->options->jobs_file) lower_until(&timeout_ms, run->jobs_file_ns, now);
    if (run->loading_since_ns && !run->loading_is_said)
        lower_until(&timeout_ms, run->loading_since_ns + LOADING_NS, now);
    for (unsigned i = 0; i < run->count; i++) {
        const struct map_job *j = run->running[i];
        if (j->state == MAP_JOB_BACKOFF && !run->care.gate_closed) lower_until(&timeout_ms, j->retry_ns, now);
        if (map_job_may_skip(run, j, i == 0)) timeout_ms = 0;
    }
    return timeout_ms;
}

static void read_input(struct map_run *run, uint64_t now)
{
    struct input *in = &run->input;
    input_read(in, now);
    if (in->error) map_run_fail(run, "cannot read the items: %s", strerror(in->error));
    /* A reduction of a part of the input would be wrong. */
    if (run->options->reduce && input_source_fault(in->source)) map_run_fail(run, "%s", input_source_fault(in->source));
    const char *fault = encoding_fault(in->encoding);
    if (fault) map_run_fail(run, "cannot read the items: %s. iconv or a similar program can convert them", fault);
}

/* The oldest job comes first, so that one pass prints all answers that have arrived, in input order. */
static void step_jobs(struct map_run *run, const struct pollfd *fds, uint64_t now)
{
    bool oldest = true;
    for (unsigned i = 0; i < run->count && run->state != MAP_STOPPED; i++) {
        struct map_job *j = run->running[i];
        bool readable = fds[i].revents != 0;
        map_job_step(run, j, oldest, readable, now);
        oldest = oldest && j->state == MAP_JOB_ENDED;
    }
    retire_jobs(run);
}

/* Call it after the results have been written: until the result of an item is written, the log must not say that the
 * item is done. */
static void write_log(struct map_run *run)
{
    if (interrupt_signal() || output_failed(&run->output) || joblog_flush(&run->joblog)) return;
    map_run_fail(run, "cannot write %s: %s", run->options->joblog, strerror(errno));
}

/* If a terminal shows both the results and the progress line, the line is erased while the results are written. */
static void write_results(struct map_run *run)
{
    if (!run->output.len) return;
    bool shares_terminal = run->progress.on && isatty(run->output.fd);
    if (shares_terminal) status_line_hide();
    output_flush(&run->output);
    if (shares_terminal) status_line_restore();
}

/* With --jobs FILE: adopts the number in the file whenever it changes. If no number can be read from the file, the
 * current number stays in effect. */
static void follow_jobs_file(struct map_run *run, uint64_t now)
{
    unsigned n = 0;
    if (!run->options->jobs_file || now < run->jobs_file_ns) return;
    run->jobs_file_ns = now + JOBS_FILE_LOOK_NS;
    if (jobs_file_read(run->options->jobs_file, LIMIT_TASK_PROCESSES, &n))
        gate_file_set_running(&run->private_fleet.gate, n);
}

/* Tells the gate how many items there are, for --halt with a percentage. Checks whether the gate has halted the run. */
static void follow_gate(struct map_run *run)
{
    struct run_gate *gate = run->private_fleet.gate.shared;
    bool is_sure;
    if (!gate || !run->options->rules.halt_why) return;
    uint64_t total = map_end_total(run, &is_sure);
    if (run->input.ended || run->input.items) gate->total = total;
    run->halted = run->halted || gate->state != RUN_GATE_OPEN;
}

/* With --line-buffer: prints the lines that the commands have printed. A command has passed on its lines before its
 * answer comes. So this function, called after the answers were read, prints all lines of the answered items. */
static void read_lines(struct map_run *run)
{
    static char data[64 << 10];
    int fd = run->private_fleet.lines_fd;
    for (size_t sum = 0; fd >= 0 && sum < LINES_BYTES && !output_failed(&run->output);) {
        ssize_t n = read(fd, data, sizeof data);
        if (n <= 0) return;
        output_bytes(&run->output, data, (size_t)n);
        sum += (size_t)n;
    }
}

/* If the fleet does not have the task, but a program has the same name, ends the run before any item is sent. */
static void check_task(struct map_run *run)
{
    const struct map_options *o = run->options;
    if (!run->care.lacks_task || !o->as_command[0] || run->state > MAP_ASKED) return;
    map_run_fail(run, "the fleet has no task %s. To run the command %s: `%s`", o->task, o->task, o->as_command);
}

static void turn(struct map_run *run)
{
    static struct pollfd fds[POLL_OTHERS + FLEET_MAX_POLL_FDS + MAP_JOBS];
    struct fleet *f = run->private_fleet.fleet;
    uint64_t now = now_ns();
    int timeout_ms = timeout_of(run, now);
    fds[POLL_INTERRUPT] = (struct pollfd){.fd = interrupt_fd(), .events = POLLIN};
    fds[POLL_STDOUT] = (struct pollfd){.fd = run->output.fd};
    fds[POLL_STDERR] = (struct pollfd){.fd = status_line_waiting() ? STDERR_FILENO : -1, .events = POLLOUT};
    fds[POLL_STDIN] = (struct pollfd){
        .fd = !run->halted && input_wants_bytes(&run->input) ? input_source_poll_fd(run->input.source) : -1,
        .events = POLLIN};
    short care_events = connection_events(&run->care.http);
    fds[POLL_CARE] = (struct pollfd){.fd = care_events ? run->care.http.fd : -1, .events = care_events};
    fds[POLL_LINES] = (struct pollfd){.fd = run->private_fleet.lines_fd, .events = POLLIN};
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
    if (f) fleet_read_output(f); /* before the answers are read, see fleet.h */
    status_line_flush();
    if (f && (n == 0 || fds[POLL_INTERRUPT].revents || !fleet_is_ready(f))) turn_fleet(run);
    if (n && fds[POLL_CARE].revents) connection_step(&run->care.http);
    care_step(&run->care, &run->outage, now);
    check_task(run);
    follow_jobs_file(run, now);
    follow_gate(run);
    if (n && polled) step_jobs(run, jobs, now);
    read_lines(run);
    map_cut_check_time(run, now);
    if (n && fds[POLL_STDIN].fd >= 0 && fds[POLL_STDIN].revents) read_input(run, now);
    if (run->options->reduce)
        map_reduce_feed(run, now);
    else
        start_jobs(run, now);
    write_results(run);
    write_log(run);
    say_loading(run, now);
    map_hold_look(run, now);
    draw_progress(run, now);
}

static bool is_over(const struct map_run *run)
{
    if (run->state == MAP_STOPPED || interrupt_signal() || output_failed(&run->output)) return true;
    return run->count == 0 && (run->halted || input_is_empty(&run->input)) &&
           (run->state >= MAP_ASKED || (run->options->command && !run->options->reduce));
}

int map_items(struct map_options *options)
{
    static struct map_run run = {.joblog = {.fd = -1}, .private_fleet = {.lines_fd = -1}};
    if (map_begin(&run, options))
        while (!is_over(&run)) turn(&run);
    if (run.private_fleet.fleet) fleet_write_output(run.private_fleet.fleet);
    const char *fault = input_source_fault(&options->source);
    if (fault && !interrupt_signal() && !run.halted) map_run_fail(&run, "%s", fault);
    int status = map_end_finish(&run);
    bool closed = run.output.closed;
    map_begin_undo(&run);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    /* When the reader is gone, this program ends by SIGPIPE, as other programs in a pipe do. */
    if (closed && status == EXIT_OK) interrupt_die_of(SIGPIPE);
    return status;
}
