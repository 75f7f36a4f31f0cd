/* `fantail jobs`: lists jobs, newest first. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/standard_output.h"
#include "cli/jobs/each_job.h"
#include "cli/jobs/job_pages.h"
#include "cli/jobs/job_table.h"
#include "cli/jobs/jobs.h"
#include "common/observe/utc_time.h"

struct list_config {
    struct target_config client;
    const char *status, *task, *label;
    int64_t limit;
    bool all, json;
};

#define S struct list_config
static const struct option_row rows[] = {
    OPTION_STRING("status", S, status, NULL,
                  "only jobs with one of these statuses, separated by commas: pending, running, succeeded, partial, "
                  "failed, cancelled, timed_out",
                  .value = "STATUS", .no_env = true),
    OPTION_STRING("task", S, task, NULL, "only jobs of this task", .value = "TASK", .no_env = true),
    OPTION_STRING("label", S, label, NULL, "only jobs with this label", .value = "LABEL", .no_env = true),
    OPTION_INT("limit", S, limit, "20", 1, 1e9, "list at most this many jobs", .value = "N", .no_env = true),
    OPTION_BOOL("all", S, all, NULL, "list all jobs", .no_env = true),
    JOB_JSON_OPTION_ROW(S, json),
    TARGET_OPTION_ROWS(S, client),
    OPTION_ROWS_END};
#undef S

const struct option_spec jobs_option_spec = {
    .program = "fantail jobs",
    .usage = "[--status STATUS] [--task TASK] [--label LABEL] [--limit N | --all] [--json] [--url URL]",
    .about = "Lists the durable jobs of a job store, the newest first. Without a filter, also lists the jobs that the\n"
             "coordinator is running for a connected client. DONE counts the items that have a value or\n"
             "have failed, but not those that were cancelled.",
    .epilogue = "IDs are cut to the length that distinguishes the listed jobs. All commands accept such IDs.\n"
                "\n"
                "Examples:\n"
                "  fantail jobs --url http://localhost:8080\n"
                "  fantail jobs --status failed,partial --label nightly\n"
                "  fantail jobs --all --json | jq -r 'select(.counts.failed > 0).id'\n"
                "\n"
                "Exit status: 0 the list was printed, 2 wrong usage, 3 the service refused or could not be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

static int complain_of_status(const char *word, size_t len)
{
    struct buf known = {0};
    for (size_t i = 0; i < REMOTE_STATUS_COUNT; i++)
        buf_addf(&known, "%s%s", i == 0 ? "" : i + 1 < REMOTE_STATUS_COUNT ? ", " : " and ", remote_status_words[i]);
    int status =
        option_complain(&jobs_option_spec, "status", "\"%.*s\" is not the status of a job; the statuses are %s",
                        (int)len, word, buf_cstr(&known));
    buf_release(&known);
    return status;
}

static int check_statuses(const char *words)
{
    enum remote_status status;
    while (words) {
        size_t len = strcspn(words, ",");
        if (!remote_status_parse(words, len, &status)) return complain_of_status(words, len);
        words = words[len] ? words + len + 1 : NULL;
    }
    return EXIT_OK;
}

static void print_page(const struct job_pages *p, size_t count, struct job_table *table, bool json)
{
    struct buf out = {0};
    for (size_t i = 0; i < count && json; i++) {
        buf_add(&out, p->jobs[i].text.data, p->jobs[i].text.len);
        buf_add_char(&out, '\n');
    }
    if (!json) job_table_add(table, &out, p->jobs, count, utc_time_now());
    if (out.len) fwrite(out.data, 1, out.len, stdout);
    standard_output_flush();
    buf_release(&out);
}

static int list(struct job_service *s, const struct list_config *config)
{
    struct job_pages pages = {.service = s,
                              .filter = {.status = config->status, .task = config->task, .label = config->label}};
    struct job_table table = {0};
    size_t left = config->all ? SIZE_MAX : (size_t)config->limit;
    int status = EXIT_OK;
    while (left && !pages.over && !(status = job_pages_next(&pages, left))) {
        size_t count = pages.count < left ? pages.count : left;
        if (count < pages.count) pages.over = false;
        print_page(&pages, count, &table, config->json);
        left -= count;
        if (!standard_output_flush()) status = EXIT_JOB_FAILED;
        if (status) break;
    }
    if (!status && !pages.has_store)
        complain("the coordinator has no job store; these are the jobs that it is running for connected clients");
    else if (!status && !pages.over && !config->json)
        complain("there are more jobs; --all lists them");
    job_pages_release(&pages);
    return status;
}

int command_jobs(int argc, char **argv)
{
    struct list_config config = {0};
    struct option_result result;
    struct job_service service;
    if (!option_parse(&jobs_option_spec, &config, argc, argv, &result)) return result.exit_status;
    int status = check_statuses(config.status);
    if (status) return status;
    interrupt_init();
    status = job_service_init(&service, &jobs_option_spec, &config.client, 0);
    if (!status) status = list(&service, &config);
    job_service_release(&service);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    return standard_output_end(status);
}
