/* `fantail status`: shows the known facts about jobs. */
#include "cli/jobs/each_job.h"
#include "cli/jobs/job_table.h"
#include "cli/jobs/jobs.h"
#include "common/observe/utc_time.h"

struct show_config {
    struct target_config client;
    bool json;
    unsigned shown; /* how many jobs were shown; an empty line separates them */
};

static const struct option_row rows[] = {JOB_JSON_OPTION_ROW(struct show_config, json),
                                         TARGET_OPTION_ROWS(struct show_config, client), OPTION_ROWS_END};

const struct option_spec status_option_spec = {
    .program = "fantail status",
    .usage = "ID... [--json] [--url URL]",
    .about = "Shows the status of jobs: how many items are done, which errors occurred, and when the job began and\n"
             "ended. The first characters of an ID are enough if no other ID begins with them.",
    .epilogue = "Exit status: 0 the job succeeded, 1 items failed, 2 wrong usage, 3 the job failed, was cancelled,\n"
                "passed its deadline or is not known, or the service could not be reached, 4 the job has not ended.\n"
                "With several jobs, the exit status is that of the worst job. From worst to best: 2, 3, 4, 1, 0.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

static int show(struct job_service *s, const char *id, void *data)
{
    struct show_config *config = data;
    struct remote_job job;
    struct buf out = {0};
    int status = job_service_read_job(s, id, 0, &job);
    if (status) return status;
    if (config->json)
        job_print_json(&job);
    else
        job_facts_add(&out, &job, utc_time_now());
    if (out.len) printf("%s%s", config->shown++ ? "\n" : "", buf_cstr(&out));
    buf_release(&out);
    return remote_job_exit_status(&job);
}

int command_status(int argc, char **argv)
{
    struct show_config config = {0};
    struct option_result result;
    if (!option_parse(&status_option_spec, &config, argc, argv, &result)) return result.exit_status;
    const struct each_job each = {
        .spec = &status_option_spec,
        .client = &config.client,
        .words = argv + result.first_operand,
        .handle = show,
        .data = &config,
    };
    return each_job_run(&each);
}
