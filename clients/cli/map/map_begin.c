/* The beginning of a run, and the release of everything that the run owns. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/map/map_internal.h"
#include "cli/runs/results_dir.h"

/* Returns whether standard error is a terminal to which probably no other program writes. If standard output is a pipe,
 * the program that reads the pipe may write to the same terminal. */
static bool has_own_terminal(void)
{
    struct stat st;
    return isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && fstat(STDOUT_FILENO, &st) == 0 && !S_ISFIFO(st.st_mode) &&
           !S_ISSOCK(st.st_mode);
}

static void init(struct map_run *run, struct map_options *o)
{
    uint64_t now = now_ns();
    bool bar =
        o->progress == MAP_PROGRESS_ALWAYS || (o->progress == MAP_PROGRESS_AUTO && !o->quiet && has_own_terminal());
    input_init(&run->input, &o->source, o->form);
    if (bar) input_count_file(&run->input);
    output_init(&run->output, STDOUT_FILENO);
    progress_init(&run->progress, bar, now);
    if (o->deadline_s > 0) run->deadline_ns = now + (uint64_t)(o->deadline_s * 1e9);
    outage_init(&run->outage, o->reconnect_s, now ^ (uint64_t)getpid() << 32);
    run->outage.accepted = o->client.url == NULL; /* a private fleet is known to be a fleet */
    /* If an item may have only one attempt, it must not run twice, even after the loss of a coordinator. A private
     * fleet is on this machine and ends with this program. So its coordinator is hardly ever lost, and its jobs may be
     * large. */
    bool once = o->max_attempts == 1;
    care_init(&run->care, &run->target, o->command ? "command" : o->task, once, o->client.url != NULL);
    for (unsigned i = 0; i < MAP_JOBS; i++) {
        connection_init(&run->jobs[i].http, &run->target);
        run->jobs[i].http.first = &o->common.first_line;
        if (!o->reduce) run->jobs[i].http.answer_max = CONNECTION_LINE_BYTES; /* a reduced value may be longer */
        run->idle[MAP_JOBS - 1 - i] = &run->jobs[i];
    }
}

static bool start_private_fleet(struct map_run *run, const struct map_options *o, char *err, size_t err_size)
{
    struct buf blocks = {0}, header = {0};
    if (o->source.has_blocks) block_source_add_path(&o->source.blocks, &blocks);
    if (o->source.has_blocks) block_source_add_header(&o->source.blocks, &header);
    const struct command_task command = {
        .words = o->command,
        .items_are_text = o->text,
        .items_are_rows = o->sends_rows,
        .repeats = record_options_repeat(&o->record),
        .shell = o->shell_path,
        .blanks = o->source.has_records || o->source.has_blocks || o->manner.is_parallel,
        .blocks = o->source.has_blocks ? buf_cstr(&blocks) : NULL,
        .header = header.len ? buf_cstr(&header) : NULL,
        .placeholder = o->replace,
        .values_are_text = o->values_are_text,
        .item_to_stdin = o->to_stdin,
        .raw = o->raw,
        .records = o->records,
        .dry_run = o->dry_run,
        .results = o->results,
        .passes_lines = o->line_buffer,
        .tag = o->tagstring,
        .nice = (int)o->nice,
        .quotes_words = o->manner.quotes_words,
        .is_code = o->manner.is_code,
        .ignores_items = o->manner.ignores_items,
        .sets_variables = o->manner.is_parallel,
        .slot_name = o->manner.slot_name,
        .quotes_lines = o->manner.quotes_lines,
        .folder = o->manner.folder,
        .plus = o->plus,
        .total = o->total,
        .columns = o->columns,
        .rules = o->rules,
        .running_max = o->running_max,
    };
    const struct private_fleet_options options = {
        .tasks_dir = o->tasks,
        .command = o->command ? &command : NULL,
        .workers = (unsigned)o->workers,
        .processes = (unsigned)o->processes,
    };
    bool good = private_fleet_start(&run->private_fleet, &options, err, err_size);
    buf_release(&blocks);
    buf_release(&header);
    return good;
}

static bool open_joblog(struct map_run *run, struct map_options *o)
{
    char err[512];
    enum joblog_resume resume = o->resume ? JOBLOG_RESUME : o->resume_failed ? JOBLOG_RESUME_FAILED : JOBLOG_NEW;
    bool append = o->joblog && o->joblog[0] == '+';
    if (!o->joblog) return true;
    if (append) o->joblog++;
    if (joblog_open(&run->joblog, o->joblog, resume, append, &run->done_before, err, sizeof(err))) {
        if (resume != JOBLOG_NEW) o->source.skip = &run->done_before;
        run->joblog.task = o->task;
        return true;
    }
    map_options_complain("joblog", err);
    map_run_move(run, MAP_STOPPED);
    run->status = EXIT_USAGE;
    return false;
}

static bool make_results_dir(struct map_run *run, const struct map_options *o)
{
    char err[512];
    if (!o->results || results_dir_make(o->results, o->raw, err, sizeof err)) return true;
    map_options_complain("results", err);
    map_run_move(run, MAP_STOPPED);
    run->status = EXIT_USAGE;
    return false;
}

/* Begins the run. The fleet is started before most of the run is set up, so that its processes start meanwhile. */
bool map_begin(struct map_run *run, struct map_options *o)
{
    char err[512];
    bool good;
    run->options = o;
    interrupt_init();
    if (!open_joblog(run, o) || !make_results_dir(run, o)) return false;
    if (o->client.url)
        good = target_init(&run->target, &o->client, err, sizeof(err));
    else
        good = start_private_fleet(run, o, err, sizeof(err));
    init(run, o);
    if (!good) {
        map_run_fail(run, "%s", err);
        return false;
    }
    if (o->client.url) {
        map_run_move(run, MAP_READY);
        care_ask(&run->care, now_ns());
    }
    bool opened = failures_init(&run->failures, o->errors, o->quiet);
    run->failures.reports_lost = o->manner.is_parallel;
    run->failures.shows_stderr = o->command != NULL;
    if (!opened) {
        int error = errno;
        snprintf(err, sizeof err, "write %s", o->errors);
        map_end_fail_errors_file(run, err, error);
        run->status = EXIT_USAGE;
        return false;
    }
    if (map_reduce_init(&run->reduction, o->reduce && o->errors)) return true;
    map_end_fail_errors_file(run, "create a temporary file for the items", errno);
    return false;
}

void map_begin_undo(struct map_run *run)
{
    /* A job is cancelled when its connection is closed. */
    for (unsigned i = 0; i < MAP_JOBS; i++) {
        connection_release(&run->jobs[i].http);
        unanswered_release(&run->jobs[i].unanswered);
        free(run->jobs[i].batch.data);
    }
    care_release(&run->care);
    private_fleet_end(&run->private_fleet);
    map_reduce_release(&run->reduction);
    input_release(&run->input);
    output_release(&run->output);
    target_release(&run->target);
    buf_release(&run->path);
    buf_release(&run->text);
    buf_release(&run->headers);
    buf_release(&run->hint);
    joblog_close(&run->joblog);
    done_set_release(&run->done_before);
}
