/* `fantail results`: prints the results of a durable job. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/jobs/job_ids.h"
#include "cli/jobs/jobs.h"
#include "cli/jobs/results_stream.h"

struct results_config {
    struct target_config client;
    int64_t from;
    int only;
    bool json, skip_failed, quiet;
    const char *errors;
    double reconnect_s;
};

static const char *const only_choices[] = {"all", "values", "errors", NULL};

#define S struct results_config
static const struct option_row rows[] = {
    OPTION_INT("from", S, from, "0", 0, 1e15, "begin with the item of this index", .value = "N", .no_env = true),
    OPTION_CHOICE(
        "only", S, only, "all", only_choices,
        "which items are printed; with --only errors, each failed item is a line {\"index\":...,\"error\":...}",
        .no_env = true),
    OPTION_BOOL("skip-failed", S, skip_failed, NULL, "print nothing for a failed item, instead of null",
                .no_env = true),
    OPTION_PATH("errors", S, errors, NULL,
                "write each failed item to this file, as a line {\"index\":...,\"error\":...}; -: standard error",
                .value = "FILE", .no_env = true),
    OPTION_BOOL("json", S, json, NULL, "print the lines of the service unchanged, see docs/protocol.md",
                .no_env = true),
    OPTION_BOOL("quiet", S, quiet, NULL, "do not report failed items on standard error", .letter = 'q', .no_env = true),
    RECONNECT_OPTION_ROW(S, reconnect_s),
    TARGET_OPTION_ROWS(S, client),
    OPTION_ROWS_END};
#undef S

const struct option_spec results_option_spec = {
    .program = "fantail results",
    .usage = "ID [--from N] [--only values|errors] [--errors FILE] [--json] [--url URL]",
    .about =
        "Prints the results of a durable job in the order of its items, one per line, as `fantail map` does. If the\n"
        "job still runs, prints each result as soon as all earlier results are known. If the connection is cut,\n"
        "goes on with the next item. If the job has `reduce`, waits for its end and prints the one reduced value.\n"
        "With --from, --only or --json, prints the items instead. The first characters of the ID are enough if no\n"
        "other ID begins with them.",
    .epilogue = "For a failed item, null is printed, so that line N belongs to item N. The first few failed items are\n"
                "reported on standard error. Ctrl-C ends only this command; the job goes on.\n"
                "\n"
                "Exit status: 0 every item succeeded, 1 items failed, 2 wrong usage, 3 the job failed, was\n"
                "cancelled or is not known, or the service could not be reached for --reconnect-s.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

/* Ends the output. Returns the exit status of the command. */
static int finish(struct results_stream *r, const struct results_config *config, int status)
{
    output_flush(&r->output);
    if (r->output.error) {
        complain("cannot write the results: %s", strerror(r->output.error));
        status = EXIT_JOB_FAILED;
    }
    r->failures.quiet = r->failures.quiet || !r->ended;
    if (failures_finish(&r->failures, r->total, false)) return status;
    option_complain(&results_option_spec, "errors", "cannot write all of %s", config->errors);
    return EXIT_JOB_FAILED;
}

/* For a reduced job, only the reduced value is printed, unless an option asks for items. */
static int choose(struct results_stream *r)
{
    struct remote_job job;
    if (r->only != RESULTS_ALL || r->next > 0 || r->json) return EXIT_OK;
    int status = job_service_read_job(r->service, r->id, 0, &job);
    if (!status && job.is_reduced) r->only = RESULTS_REDUCED;
    return status;
}

/* Prints the reduced value of a job that has ended. A failed job may have no reduced value. */
static int print_reduced(struct results_stream *r)
{
    struct remote_job job;
    int status = job_service_read_job(r->service, r->id, 0, &job);
    if (status) return status;
    bool is_null = job.result.len == 4 && memcmp(job.result.data, "null", 4) == 0;
    if (!job.result.len) complain("the job was redriven before its reduced value was read");
    if (!job.result.len) return EXIT_JOB_FAILED;
    if (!is_null || r->status != EXIT_JOB_FAILED) output_line(&r->output, job.result.data, job.result.len);
    return r->status;
}

static int run(struct results_stream *r)
{
    int status = choose(r);
    if (status) return status;
    status = results_stream_run(r);
    bool has_value = r->only == RESULTS_REDUCED && r->ended && !r->failed && !r->removed;
    return has_value ? print_reduced(r) : status;
}

static int read_all(struct job_service *s, const struct results_config *config, char *const *word, bool *closed)
{
    struct job_id id;
    int status = job_ids_find(s, &results_option_spec, word, 1, &id);
    if (status) return status;
    struct results_stream stream = {
        .service = s,
        .id = id.text,
        .only = (enum results_only)config->only,
        .json = config->json,
        .skip_failed = config->skip_failed,
        .next = (uint64_t)config->from,
    };
    bool are_printed = config->json || config->only == RESULTS_ERRORS;
    if (!failures_init(&stream.failures, config->errors, config->quiet || are_printed))
        return option_complain(&results_option_spec, "errors", "cannot write %s: %s", config->errors, strerror(errno));
    output_init(&stream.output, STDOUT_FILENO);
    status = finish(&stream, config, run(&stream));
    *closed = stream.output.closed;
    output_release(&stream.output);
    return status;
}

int command_results(int argc, char **argv)
{
    struct results_config config = {0};
    struct option_result result;
    struct job_service service;
    bool closed = false;
    if (!option_parse(&results_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if (result.first_operand == argc)
        return option_complain(&results_option_spec, NULL, "the id of a job is missing; `fantail jobs` lists the ids");
    if (result.first_operand + 1 < argc)
        return option_complain(&results_option_spec, NULL, "give one job; %s is a second one",
                               argv[result.first_operand + 1]);
    interrupt_init();
    int status = job_service_init(&service, &results_option_spec, &config.client, config.reconnect_s);
    if (!status) status = read_all(&service, &config, argv + result.first_operand, &closed);
    job_service_release(&service);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    /* When the reader is gone, this program ends by SIGPIPE, as other programs in a pipe do. */
    if (closed) interrupt_die_of(SIGPIPE);
    return status;
}
