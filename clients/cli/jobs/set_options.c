/* `fantail change`: changes options of jobs that have not ended. */
#include <math.h>

#include "cli/base/exit_status.h"
#include "cli/http/refusal.h"
#include "cli/jobs/each_job.h"
#include "cli/jobs/jobs.h"
#include "cli/options/option_values.h"
#include "common/base/limits.h"
#include "protocol/protocol.h"

enum change { CONCURRENCY, RATE, PRIORITY, TOLERATED_COUNT, TOLERATED_PERCENTAGE, DEADLINE, CHANGE_COUNT };

struct set_config {
    struct target_config client;
    double reconnect_s;
    const char *values[CHANGE_COUNT]; /* NULL: this option is not changed */
    bool json;
    struct buf patch;
};

static const struct {
    const char *option, *member;
    double max;
    bool whole;
} changes[] = {
    [CONCURRENCY] = {"max-concurrency", "max_concurrency", LIMIT_CONCURRENCY, true},
    [RATE] = {"max-rate", "max_rate", LIMIT_RATE, false},
    [PRIORITY] = {"priority", "priority", 9, true},
    [TOLERATED_COUNT] = {"tolerated-failure-count", "tolerated_failure_count", 1e15, true},
    [TOLERATED_PERCENTAGE] = {"tolerated-failure-percentage", "tolerated_failure_percentage", 100, false},
    [DEADLINE] = {"deadline-s", "deadline_s", LIMIT_TIME_S, false},
};
static_assert(ARRAY_SIZE(changes) == CHANGE_COUNT, "a row for each change");

#define S struct set_config
static const struct option_row rows[] = {
    OPTION_STRING("max-concurrency", S, values[CONCURRENCY], NULL,
                  "items that may run at once; 0: as many as the workers can run", .value = "N", .no_env = true),
    OPTION_STRING("max-rate", S, values[RATE], NULL,
                  "items that may start in a second, a minute or an hour, such as 10/s; 0: no limit",
                  .value = "N/s|m|h", .no_env = true),
    OPTION_STRING("priority", S, values[PRIORITY], NULL,
                  "0 to 9; a job with a higher priority gets a larger share of the slots", .value = "N",
                  .no_env = true),
    OPTION_STRING("tolerated-failure-count", S, values[TOLERATED_COUNT], NULL,
                  "the job fails when more than this many items have failed", .value = "N", .no_env = true),
    OPTION_STRING("tolerated-failure-percentage", S, values[TOLERATED_PERCENTAGE], NULL,
                  "the job fails when more than this percentage of all items has failed", .value = "P", .no_env = true),
    OPTION_STRING("deadline-s", S, values[DEADLINE], NULL,
                  "the job ends this many seconds after its creation; 0: no limit", .value = "S", .no_env = true),
    JOB_JSON_OPTION_ROW(S, json),
    RECONNECT_OPTION_ROW(S, reconnect_s),
    TARGET_OPTION_ROWS(S, client),
    OPTION_ROWS_END};
#undef S

const struct option_spec change_option_spec = {
    .program = "fantail change",
    .usage = "ID... OPTION... [--json] [--url URL]",
    .about =
        "Changes options of jobs that wait or run. The value `default` restores the default of an option. The change\n"
        "stays in effect after a restart and after a redrive. Items that were already sent to workers still run. The\n"
        "first characters of an ID are enough if no other ID begins with them.",
    .epilogue =
        "Exit status: 0 the jobs are changed, 2 wrong usage, 3 a job is not known or has ended, or the service\n"
        "refused or could not be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

/* If the value is a rate such as 240/m, sets *number to the items per second. */
static bool read_rate(const char *value, double *number)
{
    double spacing_s;
    if (!option_read_rate(value, &spacing_s)) return false;
    *number = 1 / spacing_s;
    return true;
}

static int add_member(struct buf *patch, size_t i, const char *value)
{
    char *end;
    buf_addf(patch, "%s\"%s\":", patch->len > 1 ? "," : "", changes[i].member);
    if (strcmp(value, "default") == 0) {
        buf_add_str(patch, "null");
        return EXIT_OK;
    }
    double number = strtod(value, &end);
    bool is_number = *value && strspn(value, "0123456789.eE+-") == strlen(value) && *end == '\0';
    if (i == RATE && !is_number) {
        if (!read_rate(value, &number))
            return option_complain(&change_option_spec, "max-rate",
                                   "must be a number above 0, with /s, /m or /h, or 0, or the word default");
        is_number = true;
    }
    if (!is_number || number < 0 || number > changes[i].max || (changes[i].whole && number != floor(number)))
        return option_complain(&change_option_spec, changes[i].option,
                               "must be a %s from 0 to %.0f, or the word default, not \"%s\"",
                               changes[i].whole ? "whole number" : "number", changes[i].max, value);
    buf_addf(patch, changes[i].whole ? "%.0f" : "%.15g", number);
    return EXIT_OK;
}

static int write_patch(struct set_config *config)
{
    buf_add_char(&config->patch, '{');
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        int status = config->values[i] ? add_member(&config->patch, i, config->values[i]) : EXIT_OK;
        if (status) return status;
    }
    if (config->patch.len == 1)
        return option_complain(&change_option_spec, NULL, "say what to change, for example --max-concurrency 8");
    buf_add_char(&config->patch, '}');
    return EXIT_OK;
}

/* If the connection is cut, this program sends the change again. The same change may be made twice without harm. */
static int change(struct job_service *s, const char *id, void *data)
{
    struct set_config *config = data;
    struct remote_job job;
    struct buf path = {0};
    buf_addf(&path, PATH_JOBS "/%s", id);
    const struct job_request request = {
        .method = "PATCH",
        .path = buf_cstr(&path),
        .headers = "Content-Type: " TYPE_MERGE_PATCH "\r\nAccept: " TYPE_JSON "\r\n",
        .body = config->patch.data,
        .len = config->patch.len,
        .may_repeat = true,
    };
    int status = EXIT_JOB_FAILED;
    if (job_service_ask(s, &request))
        status = s->http.status == 200 ? job_service_answered_job(s, &job) : refusal_complain(&s->http);
    buf_release(&path);
    if (status) return status;
    job_print(&job, config->json);
    return EXIT_OK;
}

int command_change(int argc, char **argv)
{
    struct set_config config = {0};
    struct option_result result;
    if (!option_parse(&change_option_spec, &config, argc, argv, &result)) return result.exit_status;
    const struct each_job each = {
        .spec = &change_option_spec,
        .client = &config.client,
        .reconnect_s = config.reconnect_s,
        .words = argv + result.first_operand,
        .handle = change,
        .data = &config,
    };
    int status = each.words[0] ? write_patch(&config) : EXIT_OK;
    if (!status) status = each_job_run(&each);
    buf_release(&config.patch);
    return status;
}
