/* `fantail cancel` and `fantail redrive`. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/http/refusal.h"
#include "cli/jobs/each_job.h"
#include "cli/jobs/jobs.h"
#include "protocol/protocol.h"

struct change_config {
    struct target_config client;
    bool json;
};

static const struct option_row rows[] = {JOB_JSON_OPTION_ROW(struct change_config, json),
                                         TARGET_OPTION_ROWS(struct change_config, client), OPTION_ROWS_END};

const struct option_spec cancel_option_spec = {
    .program = "fantail cancel",
    .usage = "ID... [--json] [--url URL]",
    .about =
        "Cancels jobs. A running job ends as cancelled: its processes end within 2 s, and its results are\n"
        "kept. `fantail redrive` then runs the failed and cancelled items. A job that has ended is not changed. The\n"
        "first characters of an ID are enough if no other ID begins with them.",
    .epilogue =
        "Exit status: 0 the jobs are cancelled or had already ended, 2 wrong usage, 3 a job is not known, or the\n"
        "service refused or could not be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

const struct option_spec redrive_option_spec = {
    .program = "fantail redrive",
    .usage = "ID... [--json] [--url URL]",
    .about = "Runs the failed and cancelled items of ended jobs again. The id and the good results stay as they are.\n"
             "The first characters of an ID are enough if no other ID begins with them.",
    .epilogue = "Exit status: 0 the jobs will run again, 2 wrong usage, 3 a job is not known, has not ended or has no\n"
                "failed or cancelled items, or the service refused or could not be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

static void print_change(const struct change_config *config, const struct remote_job *j, const char *words)
{
    if (config->json)
        job_print_json(j);
    else
        job_print_line(j->id, "%s", words);
}

/* Makes a request that must not be sent twice. Returns EXIT_OK if the answer is 200 or 202 with a job. If `conflict` is
 * not NULL, sets *conflict to whether the answer is 409, and writes no message about a 409. */
static int change(struct job_service *s, const char *method, const char *path, struct remote_job *j, bool *conflict)
{
    const struct job_request request = {.method = method, .path = path, .headers = "Accept: " TYPE_JSON "\r\n"};
    if (!job_service_ask(s, &request)) return EXIT_JOB_FAILED;
    if (conflict) *conflict = s->http.status == 409;
    if (conflict && *conflict) return EXIT_JOB_FAILED;
    if (s->http.status != 200 && s->http.status != 202) return refusal_complain(&s->http);
    return job_service_answered_job(s, j);
}

/* Without only=cancel, a DELETE would remove a job that has ended, together with its results. */
static int cancel(struct job_service *s, const char *id, void *data)
{
    struct remote_job job = {0};
    struct buf path = {0};
    bool had_ended = false;
    buf_addf(&path, PATH_JOBS "/%s?only=cancel", id);
    int status = change(s, "DELETE", buf_cstr(&path), &job, &had_ended);
    buf_release(&path);
    if (had_ended) status = job_service_read_job(s, id, 0, &job);
    if (status) return status;
    print_change(data, &job, remote_job_has_ended(&job) ? remote_status_words[job.status] : "cancelling");
    if (had_ended) complain("job %s had already ended", id);
    return EXIT_OK;
}

static int redrive(struct job_service *s, const char *id, void *data)
{
    struct remote_job job = {0};
    struct buf path = {0};
    buf_addf(&path, PATH_JOBS "/%s/redrive", id);
    int status = change(s, "POST", buf_cstr(&path), &job, NULL);
    buf_release(&path);
    if (!status) print_change(data, &job, remote_status_words[job.status]);
    return status;
}

static int run(const struct option_spec *spec, int argc, char **argv,
               int (*handle)(struct job_service *s, const char *id, void *data))
{
    struct change_config config = {0};
    struct option_result result;
    if (!option_parse(spec, &config, argc, argv, &result)) return result.exit_status;
    const struct each_job each = {
        .spec = spec,
        .client = &config.client,
        .words = argv + result.first_operand,
        .handle = handle,
        .data = &config,
    };
    return each_job_run(&each);
}

int command_cancel(int argc, char **argv)
{
    return run(&cancel_option_spec, argc, argv, cancel);
}

int command_redrive(int argc, char **argv)
{
    return run(&redrive_option_spec, argc, argv, redrive);
}
