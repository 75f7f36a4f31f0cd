#include "cli/base/exit_status.h"
#include "cli/options/jobs_file.h"
#include "cli/options/map_options_internal.h"
#include "cli/options/option_values.h"
#include "common/machine/cpu_quota.h"
#include "common/base/limits.h"

/* All errors after which an item may be run again. */
#define ANY_ERROR "task_error,crashed,timed_out,out_of_memory,bad_output,worker_lost,start_timed_out"
/* The errors after which a job runs an item again by default. */
#define DEFAULT_ERRORS "crashed,worker_lost,timed_out"
#define DURATION       "must be a number of seconds, or a number with s, m, h or d"

static int complain_of_both(const char *option, const char *other)
{
    char text[80];
    snprintf(text, sizeof text, "cannot be given together with %s", other);
    return map_options_complain(option, text);
}

/* On a running fleet, --jobs limits the items in flight. */
static int check_remote_jobs(struct map_options *o)
{
    unsigned n = 0;
    if (o->max_concurrency) return complain_of_both("jobs", "--max-concurrency");
    if (o->jobs[strspn(o->jobs, "0123456789")] || !option_read_jobs(o->jobs, 1, LIMIT_CONCURRENCY, &n))
        return map_options_complain("jobs", "must be a number, because --url or FANTAIL_URL names a running fleet");
    o->max_concurrency = n;
    return EXIT_OK;
}

/* With --jobs FILE, there may be more processes than commands that may run at once. So the gate limits the commands. */
static bool read_jobs_file(struct map_options *o)
{
    if (!o->command || !jobs_file_read(o->jobs, LIMIT_TASK_PROCESSES, &o->running_max)) return false;
    o->jobs_file = o->jobs;
    o->rules.limits_running = true;
    o->processes = o->running_max < OPTION_JOBS_FILE ? OPTION_JOBS_FILE : o->running_max;
    return true;
}

/* On a private fleet, --jobs is the number of processes. */
static int check_jobs(struct map_options *o)
{
    unsigned n = 0;
    if (o->jobs && o->client.url) return check_remote_jobs(o);
    if (o->jobs && o->processes) return complain_of_both("jobs", "--processes");
    if (o->jobs && option_read_jobs(o->jobs, cpu_quota(), LIMIT_TASK_PROCESSES, &n)) {
        o->processes = n;
        /* Without this limit, the worker would get the next items while an item runs. The next items may belong to
         * several chunks, and might not run in their order. But a user who asks for one item at a time expects the
         * items to run in order. */
        if (n == 1 && o->max_concurrency == 0) o->max_concurrency = 1;
    } else if (o->jobs && !read_jobs_file(o)) {
        return map_options_complain("jobs", "must be a number of processes up to " TEXT_OF(
                                                LIMIT_TASK_PROCESSES) ", such as 8, or 150%, +2 or "
                                                                      "-1 of the processors; or, for "
                                                                      "a command, a file with such "
                                                                      "a number");
    }
    if (o->command && o->processes == 0) o->processes = cpu_quota();
    return EXIT_OK;
}

static int check_retries(struct map_options *o)
{
    o->retry_delay_s = -1;
    if (o->retries && o->max_attempts) return complain_of_both("retries", "--max-attempts");
    if (o->retries) o->max_attempts = o->retries;
    /* A command can have side effects. So by default, a command runs only once for each item, as with xargs. */
    if (o->command && o->max_attempts == 0) o->max_attempts = 1;
    const char *alone = o->retry_on ? "retry-on" : o->delay_retry ? "delay-retry" : NULL;
    if (alone && o->max_attempts == 1)
        return map_options_complain(alone, "has no effect without --retries N, where N is at least 2");
    if (o->retries && !o->retry_on) o->retry_on = ANY_ERROR;
    if (!option_read_errors(o->retry_on ? o->retry_on : DEFAULT_ERRORS, &o->rules.retried))
        return map_options_complain("retry-on", "must be names from this list, separated by commas: " ANY_ERROR);
    o->rules.attempts = (uint32_t)o->max_attempts;
    if (o->delay_retry && !option_read_duration(o->delay_retry, &o->retry_delay_s))
        return map_options_complain("delay-retry", DURATION);
    return EXIT_OK;
}

/* The time limit of a command is a rule of the gate, which counts the time from the start of the command. The time
 * limit of a job would also include the time that a process spends waiting for the gate. */
static int check_timeout(struct map_options *o)
{
    double seconds, percent;
    if (!o->timeout) return EXIT_OK;
    if (o->item_timeout_s >= 0) return complain_of_both("timeout", "--item-timeout-s");
    if (o->command && option_read_percent(o->timeout, &percent)) {
        o->rules.timeout_factor = percent / 100;
        return EXIT_OK;
    }
    if (!option_read_duration(o->timeout, &seconds))
        return map_options_complain("timeout", o->command ? DURATION ", or a percentage" : DURATION);
    if (o->command)
        o->rules.timeout_ns = time_limit_ns(seconds);
    else
        o->item_timeout_s = seconds;
    return EXIT_OK;
}

static int check_starts(struct map_options *o)
{
    double spacing_s = 0;
    if (o->delay && o->rate) return complain_of_both("rate", "--delay");
    if (o->delay && !option_read_duration(o->delay, &spacing_s)) return map_options_complain("delay", DURATION);
    if (o->rate && !option_read_rate(o->rate, &spacing_s))
        return map_options_complain("rate", "must be a number above 0, with /s, /m or /h");
    if (o->rate && !o->command) o->max_rate = 1 / spacing_s;
    if (o->load && !option_read_load(o->load, cpu_quota(), &o->rules.max_load))
        return map_options_complain("load", "must be a number of processes, or a percentage of the processors");
    o->rules.spacing_ns = time_limit_ns(spacing_s);
    o->rules.min_free_bytes = (uint64_t)o->memfree;
    return EXIT_OK;
}

/* For a task, this program counts the failures, and it cannot hold back items that have already been sent. So only
 * now,fail=N is possible. */
static int check_task_halt(struct map_options *o, const struct run_gate_rules *rules)
{
    if (rules->halt_why != RUN_GATE_FAILED || !rules->halt_cuts || rules->halt_count <= 0)
        return map_options_complain("halt", "must be now,fail=N for a task; a command (after --) has the other forms");
    if (o->tolerated_failure_count >= 0) return complain_of_both("halt", "--tolerated-failure-count");
    o->tolerated_failure_count = (int64_t)rules->halt_count - 1;
    return EXIT_OK;
}

static int check_halt(struct map_options *o)
{
    struct run_gate_rules rules = o->rules;
    if (!o->halt) return EXIT_OK;
    if (!option_read_halt(o->halt, &rules))
        return map_options_complain("halt",
                                    "must be the word never, or WHEN,WHY=N, where WHEN is now or soon, WHY is fail, "
                                    "success or done, and N may be a percentage. Example: --halt now,fail=1");
    if (!o->command && rules.halt_why) return check_task_halt(o, &rules);
    o->rules = rules;
    return EXIT_OK;
}

static int check_log(struct map_options *o)
{
    const char *resume = o->resume ? "resume" : o->resume_failed ? "resume-failed" : NULL;
    if (o->resume && o->resume_failed) return complain_of_both("resume", "--resume-failed");
    if (resume && !o->joblog && o->results)
        return map_options_complain(resume, "needs --joblog FILE, the log of the earlier run. The folder of --results "
                                            "does not say which items are done");
    if (resume && !o->joblog) return map_options_complain(resume, "needs --joblog FILE, the log of the earlier run");
    if (o->raw && o->json) return complain_of_both("raw", "--json");
    bool by_item = o->joblog || o->raw || o->rules.halt_why || o->line_buffer;
    const char *given = o->joblog ? "joblog" : o->raw ? "raw" : o->line_buffer ? "line-buffer" : "halt";
    if (by_item && o->reduce) return complain_of_both(given, "--reduce");
    if (o->joblog && o->dry_run) return complain_of_both("joblog", "--dry-run");
    if (o->results && o->dry_run) return complain_of_both("results", "--dry-run");
    o->records = by_item && o->command;
    return EXIT_OK;
}

static int check_tag(struct map_options *o)
{
    if (o->tag && o->tagstring) return complain_of_both("tag", "--tagstring");
    if (o->tag) o->tagstring = o->replace ? o->replace : "{}";
    if (o->tagstring && o->json) return complain_of_both(o->tag ? "tag" : "tagstring", "--json");
    return EXIT_OK;
}

/* The results of a task are JSON anyway. So for a task, --json means one JSON object for each item. */
static int check_index(struct map_options *o)
{
    bool given = o->index;
    o->index = o->index || (o->json && !o->command);
    const char *other = o->reduce        ? "--reduce"
                        : o->raw         ? "--raw"
                        : o->line_buffer ? "--line-buffer"
                        : o->tag         ? "--tag"
                        : o->tagstring   ? "--tagstring"
                        : o->detach      ? "--detach"
                                         : NULL;
    return o->index && other ? complain_of_both(given ? "index" : "json", other) : EXIT_OK;
}

/* Returns an option that was given although it applies only to commands; NULL: no such option was given. */
static const char *for_command(const struct map_options *o)
{
    const struct {
        bool given;
        const char *name;
    } options[] = {
        {o->delay, "delay"},     {o->load, "load"},
        {o->memfree, "memfree"}, {o->nice, "nice"},
        {o->tag, "tag"},         {o->tagstring, "tagstring"},
        {o->dry_run, "dry-run"}, {o->raw, "raw"},
        {o->shell, "shell"},     {o->plus, "plus"},
        {o->results, "results"}, {o->line_buffer, "line-buffer"},
        {o->lb, "lb"},           {block_options_any(&o->block), block_options_any(&o->block)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].given) return options[i].name;
    return NULL;
}

/* With --line-buffer, the lines of all commands are printed as they come. So the results are taken in the order in
 * which the commands end, and no result waits for another one. */
static int check_lines(struct map_options *o)
{
    o->line_buffer = o->line_buffer || o->lb;
    if (!o->line_buffer) return EXIT_OK;
    const char *other = o->keep_order ? "--keep-order" : o->json ? "--json" : NULL;
    if (other) return complain_of_both("line-buffer", other);
    o->line_buffer = !o->dry_run;
    o->skip_failed = true; /* no null for a failed command: only the lines are printed */
    o->order = MAP_ORDER_COMPLETION;
    return EXIT_OK;
}

/* The progress line always has a bar and the time left, so the options --bar and --eta of GNU parallel both just show
 * this line. */
static int check_progress(struct map_options *o)
{
    if (!o->bar && !o->eta) return EXIT_OK;
    if (o->progress == MAP_PROGRESS_NEVER) return complain_of_both(o->bar ? "bar" : "eta", "--progress never");
    o->progress = MAP_PROGRESS_ALWAYS;
    return EXIT_OK;
}

int map_control_check(struct map_options *o)
{
    const char *alone = o->command ? NULL : for_command(o);
    if (alone) return map_options_complain(alone, "is for a command (after --) only");
    int status = check_jobs(o);
    if (!status) status = check_retries(o);
    if (!status) status = check_timeout(o);
    if (!status) status = check_starts(o);
    if (!status) status = check_tag(o);
    if (!status) status = check_halt(o);
    if (!status) status = check_lines(o);
    if (!status) status = check_log(o);
    if (!status) status = check_index(o);
    if (!status) status = check_progress(o);
    if (!status && o->keep_order && o->order != MAP_ORDER_INPUT)
        status = complain_of_both("keep-order", "--order completion");
    return status;
}
