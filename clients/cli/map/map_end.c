/* The end of a run: its last messages and its exit status. */
#include <errno.h>

#include "cli/base/complain.h"
#include "cli/report/count.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/status_line.h"
#include "cli/map/map_internal.h"

void map_end_fail_errors_file(struct map_run *run, const char *what, int error)
{
    char text[2048];
    if (run->state == MAP_STOPPED) return;
    output_flush(&run->output);
    status_line_end();
    snprintf(text, sizeof text, "cannot %s%s%s", what, error ? ": " : "", error ? strerror(error) : "");
    map_options_complain("errors", text);
    map_run_move(run, MAP_STOPPED);
    run->status = EXIT_JOB_FAILED;
}

/* Returns how many of the first `end` items were left out, because the log has them. */
static uint64_t items_left_out(const struct map_run *run, uint64_t end)
{
    return run->input.source && run->input.source->skip ? done_set_count_below(run->input.source->skip, end) : 0;
}

uint64_t map_end_total(const struct map_run *run, bool *sure)
{
    const struct input *in = &run->input;
    uint64_t all = in->items ? in->items : in->ended ? 0 : in->file_lines;
    *sure = in->ended || all;
    if (all) return all - items_left_out(run, all);
    if (in->ended) return in->lines;
    if (!in->file_size || !in->bytes) return 0;
    return (uint64_t)((double)in->lines * (double)in->file_size / (double)in->bytes);
}

/* If every item has failed, tells the user how to end such a run early. If a task cannot run at all, it may take a long
 * time until all items have failed. */
static void say_how_to_end_early(const struct map_run *run)
{
    const struct failures *f = &run->failures;
    const struct map_options *o = run->options;
    bool all_failed = failures_failed(f) == run->done && f->count > f->reported;
    if (!all_failed || o->tolerated_failure_count >= 0 || o->halt || o->quiet) return;
    complain("%s ends a run at the first failed item",
             o->command && !o->reduce ? "--halt now,fail=1" : "--tolerated-failure-count 0");
}

/* The coordinator gives a hint if a job has only one item. The hint applies only if the whole input has just one item.
 * The last job of a longer input may also have only one item. */
static void say_hint(struct map_run *run)
{
    if (run->hint.len && run->input.lines == 1 && !run->options->sends_rows && !run->options->source.has_lists &&
        !run->options->quiet)
        complain("hint: %s (`fantail submit` sends a job object)", buf_cstr(&run->hint));
}

static bool has_nothing_left(const struct map_run *run)
{
    return run->count == 0 && input_is_empty(&run->input) && run->state >= MAP_ASKED;
}

/* Tells the user after an interrupt how many items are done. */
static void say_cancelled(struct map_run *run, bool listed)
{
    const struct failures *f = &run->failures;
    bool is_sure;
    if (!run->input.ended && run->input.source) input_count_file(&run->input);
    uint64_t total = map_end_total(run, &is_sure);
    struct buf line = {0};
    if (run->options->reduce) {
        complain("cancelled before there was a result");
        return;
    }
    buf_add_str(&line, "cancelled after ");
    count_add(&line, run->done - run->unrun);
    buf_add_str(&line, total && !is_sure ? " of about " : run->input.lines || total ? " of " : "");
    if (run->input.lines || total) count_add(&line, total ? total : run->input.lines);
    buf_add_str(&line, total || !run->input.lines ? " items" : " items that were read");
    if (failures_failed(f)) {
        buf_add_str(&line, "; ");
        count_add(&line, failures_failed(f));
        buf_add_str(&line, " failed");
    }
    if (!run->options->manner.is_parallel) failures_add_details(f, listed, &line);
    complain_text(buf_cstr(&line));
    buf_release(&line);
}

/* Returns whether the last message of the run may be written. `fantail parallel` is quiet about failed items, as GNU
 * parallel is. But it writes a last message if the run had a progress line, was halted or was interrupted. */
static bool says_end(const struct map_run *run)
{
    return !run->options->quiet || run->options->manner.is_parallel;
}

static void say_failed(const struct map_run *run)
{
    struct buf line = {0};
    count_add(&line, failures_failed(&run->failures));
    buf_add_str(&line, " of ");
    count_add(&line, run->done - run->unrun);
    buf_add_str(&line, " items failed");
    complain_failure(buf_cstr(&line), line.len);
    buf_release(&line);
}

/* Closes the --errors file, and writes the last line about the items. Returns false if the file could not be written.
 */
static bool say_end(struct map_run *run)
{
    bool listed = run->failures.file != NULL, interrupted = interrupt_signal() && run->state != MAP_STOPPED;
    if (run->options->manner.is_parallel && run->progress.on && run->failures.count && !interrupted) say_failed(run);
    if (!interrupted || has_nothing_left(run))
        return failures_finish(&run->failures, run->done - run->unrun, run->state == MAP_STOPPED || run->halted);
    bool good = failures_close(&run->failures);
    if (says_end(run)) say_cancelled(run, listed);
    return good;
}

/* GNU parallel's exit status: the number of failed items, up to 101. */
static int count_status(uint64_t failed)
{
    return failed < 101 ? (int)failed : 101;
}

/* GNU parallel's exit status of a run that --halt has halted. */
static int halted_status(const struct map_run *run)
{
    const struct run_gate_rules *rules = &run->options->rules;
    bool is_sure;
    uint64_t total = map_end_total(run, &is_sure), failed = run->failures.count;
    if (rules->halt_why == RUN_GATE_SUCCEEDED) return 0;
    if (rules->halt_fraction > 0) return total ? (int)((failed * 100 + total - 1) / total) : 0;
    return rules->halt_count <= 1 ? run->first_status : count_status(failed);
}

/* Writes the message of a run that --halt has halted, and returns the exit status. If --halt counts failed items, a
 * halted run of `fantail map` counts as failed. */
static int end_halted(const struct map_run *run)
{
    enum run_gate_why why = run->options->rules.halt_why;
    uint64_t answered = run->done - run->unrun;
    if (says_end(run))
        complain("halted after %llu item%s (--halt %s)", (unsigned long long)answered, answered == 1 ? "" : "s",
                 run->options->halt);
    if (run->options->manner.is_parallel) return halted_status(run);
    if (why == RUN_GATE_FAILED) return EXIT_JOB_FAILED;
    return why == RUN_GATE_DONE && run->failures.count ? EXIT_ITEMS_FAILED : EXIT_OK;
}

int map_end_finish(struct map_run *run)
{
    output_flush(&run->output);
    bool logs = run->state != MAP_STOPPED || run->status != EXIT_USAGE;
    if (logs && !interrupt_signal() && !output_failed(&run->output) && !joblog_flush(&run->joblog))
        map_run_fail(run, "cannot write %s: %s", run->options->joblog, strerror(errno));
    if (run->output.error) map_run_fail(run, "cannot write the results: %s", strerror(run->output.error));
    uint64_t failed = run->failures.count;
    bool is_good = !failed && run->state != MAP_STOPPED && !interrupt_signal();
    uint64_t end = run->input.items ? run->input.items : UINT64_MAX;
    const struct progress_result result = {run->done, items_left_out(run, end)};
    bool is_said = is_good && !run->halted && !run->output.closed && says_end(run);
    progress_end(&run->progress, is_said ? &result : NULL, now_ns());
    if (!say_end(run)) map_end_fail_errors_file(run, "write all items to the file", 0);
    if (run->state == MAP_STOPPED) return run->status;
    if (run->halted) return end_halted(run);
    say_how_to_end_early(run);
    say_hint(run);
    if (run->options->manner.is_parallel) return count_status(failed);
    return failed ? EXIT_ITEMS_FAILED : EXIT_OK;
}
