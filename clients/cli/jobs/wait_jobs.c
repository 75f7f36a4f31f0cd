/* `fantail wait`: waits until some jobs have ended. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/jobs/each_job.h"
#include "cli/jobs/jobs.h"

#define WAIT_PIECE_S 10 /* how long one request waits; Envoy ends an answer after 15 s */

struct wait_config {
    struct target_config client;
    double timeout_s, reconnect_s;
    bool json;
    uint64_t deadline_ns; /* 0: none */
};

#define S struct wait_config
static const struct option_row rows[] = {
    OPTION_SECONDS("timeout-s", S, timeout_s, "0", 0, 1e9, "wait at most this many seconds for all jobs; 0: no limit",
                   .value = "S", .no_env = true),
    RECONNECT_OPTION_ROW(S, reconnect_s), JOB_JSON_OPTION_ROW(S, json), TARGET_OPTION_ROWS(S, client), OPTION_ROWS_END};
#undef S

const struct option_spec wait_option_spec = {
    .program = "fantail wait",
    .usage = "ID... [--timeout-s S] [--json] [--url URL]",
    .about =
        "Waits until the jobs have ended, and prints a line for each. The first characters of an ID are enough if no\n"
        "other ID begins with them. The jobs go on if this command is interrupted.",
    .epilogue = "Exit status: 0 the job succeeded, 1 items failed, 2 wrong usage, 3 the job failed, was cancelled,\n"
                "passed its deadline or is not known, or the service could not be reached, 4 the job has not ended\n"
                "after --timeout-s. With several jobs, the exit status is that of the worst job. From worst to best:\n"
                "2, 3, 4, 1, 0.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

/* Returns how many seconds are left, rounded up. */
static uint64_t left_s(const struct wait_config *config, uint64_t now)
{
    if (!config->deadline_ns) return UINT64_MAX;
    return config->deadline_ns > now ? (config->deadline_ns - now + NS_PER_S - 1) / NS_PER_S : 0;
}

/* Tells the user what the job waits for, if the reason has changed since the last call. */
static void say_waiting(const struct remote_job *j, const char **said)
{
    const char *words = j->waiting.len ? remote_waiting_words(j->waiting.data, j->waiting.len) : NULL;
    if (words && words != *said) complain("job %s waits: %s", j->id, words);
    *said = words;
}

/* Reads the job again and again until it has ended or no time is left. */
static int read_until_end(struct job_service *s, const char *id, const struct wait_config *config, struct remote_job *j)
{
    int status = job_service_read_job(s, id, 0, j);
    if (!status && !j->durable && !remote_job_has_ended(j)) {
        complain("job %s is not durable: it belongs to a connected client, which gets its results", id);
        return EXIT_JOB_FAILED;
    }
    for (const char *said = NULL; !status && !remote_job_has_ended(j) && !interrupt_signal();) {
        say_waiting(j, &said);
        uint64_t began = now_ns(), left = left_s(config, began);
        if (left == 0) break;
        s->retry.limit_s = (double)left < config->reconnect_s ? (double)left : config->reconnect_s;
        status = job_service_read_job(s, id, left < WAIT_PIECE_S ? left : WAIT_PIECE_S, j);
        /* A draining coordinator answers immediately, even if the job has not ended. */
        if (!status && !remote_job_has_ended(j) && now_ns() - began < NS_PER_S) job_service_pause(500);
    }
    return status;
}

static int wait_for(struct job_service *s, const char *id, void *data)
{
    const struct wait_config *config = data;
    struct remote_job job;
    int status = read_until_end(s, id, config, &job);
    if (status || interrupt_signal()) return EXIT_JOB_FAILED;
    job_print(&job, config->json);
    if (!remote_job_has_ended(&job)) complain("job %s has not ended after %g s", id, config->timeout_s);
    return remote_job_exit_status(&job);
}

int command_wait(int argc, char **argv)
{
    struct wait_config config = {0};
    struct option_result result;
    if (!option_parse(&wait_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if (config.timeout_s > 0) config.deadline_ns = now_ns() + (uint64_t)(config.timeout_s * 1e9);
    const struct each_job each = {
        .spec = &wait_option_spec,
        .client = &config.client,
        .reconnect_s = config.reconnect_s,
        .words = argv + result.first_operand,
        .handle = wait_for,
        .data = &config,
    };
    return each_job_run(&each);
}
