/* `fantail events`: follows one job until it has ended. */
#include "cli/base/standard_output.h"
#include "cli/jobs/each_job.h"
#include "cli/jobs/event_stream.h"
#include "cli/jobs/jobs.h"

struct follow_config {
    struct target_config client;
    double reconnect_s;
    bool json;
};

static const struct option_row rows[] = {
    OPTION_BOOL("json", struct follow_config, json, NULL,
                "print the job of each event as the service describes it, one JSON object per line", .no_env = true),
    RECONNECT_OPTION_ROW(struct follow_config, reconnect_s), TARGET_OPTION_ROWS(struct follow_config, client),
    OPTION_ROWS_END};

const struct option_spec events_option_spec = {
    .program = "fantail events",
    .usage = "ID [--json] [--url URL]",
    .about =
        "Prints a line when the status of a job changes and, at most once a second, when answers were recorded. Ends\n"
        "when the job has ended. If the connection is cut, continues after the last event. The first characters\n"
        "of the ID are enough if no other ID begins with them.",
    .epilogue = "Exit status: 0 the job succeeded, 1 items failed, 2 wrong usage, 3 the job failed, was cancelled,\n"
                "passed its deadline or is not known, or the service could not be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

static bool print(const struct remote_job *j, void *data)
{
    const struct follow_config *config = data;
    job_print(j, config->json);
    return standard_output_flush();
}

static int follow(struct job_service *s, const char *id, void *data)
{
    struct event_stream events = {.service = s, .id = id, .take = print, .data = data};
    return event_stream_run(&events);
}

int command_events(int argc, char **argv)
{
    struct follow_config config = {0};
    struct option_result result;
    if (!option_parse(&events_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if (result.first_operand + 1 < argc)
        return option_complain(&events_option_spec, NULL, "give one job; %s is a second one",
                               argv[result.first_operand + 1]);
    const struct each_job each = {
        .spec = &events_option_spec,
        .client = &config.client,
        .reconnect_s = config.reconnect_s,
        .words = argv + result.first_operand,
        .handle = follow,
        .data = &config,
    };
    return each_job_run(&each);
}
