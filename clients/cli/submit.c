/* `fantail submit`: sends the job in a file and prints the answer. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/json_member.h"
#include "cli/cli.h"
#include "cli/http/caller_trace.h"
#include "cli/http/query.h"
#include "cli/http/refusal.h"
#include "cli/jobs/detach.h"
#include "cli/map/output.h"
#include "cli/map/result_line.h"
#include "cli/options/option_values.h"
#include "protocol/protocol.h"

struct submit_config {
    struct target_config client;
    const char *file;
    const char *max_rate; /* NULL: not given */
    bool ndjson, detach;
    struct detach_options detached;
};

static const struct option_row rows[] = {
    OPTION_PATH("file", struct submit_config, file, "-", "a file with the job as a JSON object; -: standard input",
                .value = "FILE", .letter = 'f', .no_env = true),
    OPTION_BOOL("ndjson", struct submit_config, ndjson, NULL,
                "print each result on a line as soon as it is known, instead of one document at the end"),
    OPTION_STRING(
        "max-rate", struct submit_config, max_rate, NULL,
        "items of the job that may start in a second, a minute or an hour, such as 10/s; the same as max_rate "
        "in the job",
        .value = "N/s|m|h", .no_env = true),
    OPTION_HEADING("A durable job, which the coordinator keeps in its job store"),
    OPTION_BOOL("detach", struct submit_config, detach, NULL,
                "print the id of the job as soon as the job is stored, and end; `fantail results ID` prints the answer",
                .no_env = true),
    OPTION_WORDS("label", struct submit_config, detached.labels,
                 "with --detach: a label; `fantail jobs --label` lists the jobs with it; may be given several times",
                 .value = "LABEL"),
    OPTION_STRING("idempotency-key", struct submit_config, detached.key, NULL,
                  "with --detach: if a job with this key was submitted before, print its id and make no new job; "
                  "without this option the key is random",
                  .value = "KEY", .no_env = true),
    OPTION_BOOL("json", struct submit_config, detached.json, NULL, "with --detach: print the job as a JSON object",
                .no_env = true),
    RECONNECT_OPTION_ROW(struct submit_config, detached.reconnect_s),
    TARGET_OPTION_ROWS(struct submit_config, client),
    OPTION_ROWS_END};

const struct option_spec submit_option_spec = {
    .program = "fantail submit",
    .usage = "-f job.json [option...]",
    .about =
        "Sends a job to a coordinator and prints the answer unchanged. The job is the body of POST /v1/jobs, such as\n"
        "{\"task\": \"square\", \"items\": [1, 2, 3]}. docs/protocol.md lists its options.",
    .epilogue =
        "Examples:\n"
        "  fantail submit -f job.json --url http://localhost:8080\n"
        "  echo '{\"task\":\"primes\",\"spans\":{\"start\":0,\"stop\":5000000,\"size\":50000},\"reduce\":\"sum\"}' |\n"
        "    fantail submit --url http://localhost:8080\n"
        "  id=$(fantail submit --detach --label nightly -f job.json --url http://localhost:8080)\n"
        "\n"
        "Exit status: 0 the job succeeded, 1 items failed, 2 wrong usage, 3 the job failed, was cancelled or refused,\n"
        "or passed its deadline, or its connection was cut, or the service could not be reached. With --detach:\n"
        "0 the job is stored, 2 wrong usage, 3 the job was refused, or the coordinator has no job store or could not\n"
        "be reached.",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
    .operand_advice = "give the file of the job with -f, as in `fantail submit -f job.json`",
};

/* Reads the whole file. If the file cannot be read or is empty, complains and returns false. After a signal to end, may
 * return false without a complaint. */
static bool read_all(const char *path, struct buf *text)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    while (file && !feof(file) && !ferror(file)) {
        if (!buf_reserve(text, 256u << 10)) break;
        text->len += fread(text->data + text->len, 1, 256u << 10, file);
    }
    bool good = file && !ferror(file);
    if (!good && !interrupt_signal())
        option_complain(&submit_option_spec, "file", "cannot read %s: %s", path, strerror(errno));
    if (file && !standard) fclose(file);
    if (good && !text->len) complain("%s is empty; a job object was expected", standard ? "standard input" : path);
    return good && text->len;
}

static int status_code(const char *status, size_t len)
{
    if (len == 9 && memcmp(status, "succeeded", 9) == 0) return EXIT_OK;
    if (len == 7 && memcmp(status, "partial", 7) == 0) return EXIT_ITEMS_FAILED;
    return EXIT_JOB_FAILED;
}

/* Prints the complete lines that have arrived. The end line sets *status. */
static void print_lines(struct connection *c, struct output *out, int *status)
{
    const char *at = c->answer.data + c->answer_at, *end = c->answer.data + c->answer.len, *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        struct result_line r = result_line_read(at, (size_t)(newline - at));
        if (r.kind == RESULT_END) *status = status_code(r.body, r.len);
        output_line(out, at, (size_t)(newline - at));
        at = newline + 1;
    }
    c->answer_at = (size_t)(at - c->answer.data);
    output_flush(out);
}

/* Returns true if a stream of results was requested, but the answer that is arriving is not a stream from a
 * coordinator. */
static bool is_strange(const struct connection *c, bool ndjson)
{
    return ndjson && c->status == 200 && !connection_has_type(c, TYPE_NDJSON);
}

/* Waits until a byte can be sent or received. If no answer has arrived for a while, says so once. */
static void wait_for_bytes(struct connection *c, bool *said)
{
    struct pollfd fds[2] = {{.fd = c->fd, .events = connection_events(c)}, {.fd = interrupt_fd(), .events = POLLIN}};
    bool says = !*said && c->state == CONNECTION_WAITING;
    int ready = poll(fds, 2, says ? CONNECTION_QUIET_S * 1000 : -1);
    if (ready > 0 && fds[0].revents) connection_step(c);
    if (ready != 0) return;
    connection_say_quiet(c->target->url);
    *said = true;
}

enum { NO_END = -1, NOT_WRITTEN = -2 };

/* Returns the exit status of the job. Returns NO_END if the job's end line has not arrived. If the results cannot be
 * written, writes a message and returns NOT_WRITTEN. If the reader of the results is gone, this program ends by
 * SIGPIPE, as other programs in a pipe do. */
static int follow(struct connection *c, bool ndjson)
{
    struct output out;
    int status = NO_END;
    bool said = false;
    output_init(&out, STDOUT_FILENO);
    while (!interrupt_signal() && !output_failed(&out) && !is_strange(c, ndjson)) {
        if (ndjson && c->status == 200 && c->answer.len > c->answer_at) print_lines(c, &out, &status);
        if (c->state == CONNECTION_DONE || c->state == CONNECTION_BROKEN) break;
        wait_for_bytes(c, &said);
    }
    if (out.closed) interrupt_die_of(SIGPIPE);
    if (out.error) complain("cannot write the results: %s", strerror(out.error));
    if (out.error) status = NOT_WRITTEN;
    output_release(&out);
    return status;
}

static int complain_strange(void)
{
    complain("the answer is not a result of a fantail coordinator; check --url");
    return EXIT_JOB_FAILED;
}

static int print_document(const struct connection *c)
{
    struct buf status = {0};
    size_t blank = 0;
    if (!c->answer.len || !json_member_read(c->answer.data, c->answer.len, "status", &status))
        return complain_strange();
    /* The service sends newlines while the job runs, to keep the connection alive. */
    while (blank < c->answer.len && c->answer.data[blank] == '\n') blank++;
    fwrite(c->answer.data + blank, 1, c->answer.len - blank, stdout);
    if (c->answer.len && c->answer.data[c->answer.len - 1] != '\n') putchar('\n');
    int code = status_code(status.data, status.len);
    buf_release(&status);
    return code;
}

static int submit(struct connection *c, const struct submit_config *config, struct buf *job)
{
    struct buf headers = {0};
    buf_addf(&headers, "Content-Type: " TYPE_JSON "\r\nAccept: %s\r\n", config->ndjson ? TYPE_NDJSON : TYPE_JSON);
    caller_trace_add(&headers);
    connection_request(c, "POST", config->detached.path, buf_cstr(&headers), job->data, job->len);
    buf_release(&headers);
    int status = follow(c, config->ndjson);
    if (interrupt_signal() || status == NOT_WRITTEN) return EXIT_JOB_FAILED;
    if (is_strange(c, config->ndjson)) return complain_strange();
    if (c->state == CONNECTION_BROKEN) complain("%s", c->error);
    if (c->state != CONNECTION_DONE) return EXIT_JOB_FAILED;
    if (c->status != 200) return refusal_complain_of_file(c, config->file);
    if (!config->ndjson) return print_document(c);
    if (status == NO_END) complain("the stream of results was cut: the end line is missing");
    return status == NO_END ? EXIT_JOB_FAILED : status;
}

/* Complains if --detach is missing but another option needs it, or if --detach and --ndjson are both given. */
static int check(const struct submit_config *config)
{
    const struct detach_options *d = &config->detached;
    const char *alone = d->json ? "json" : d->key ? "idempotency-key" : d->labels.count ? "label" : NULL;
    if (config->detach && config->ndjson)
        return option_complain(&submit_option_spec, "ndjson",
                               "and --detach exclude each other; `fantail results --json` prints lines");
    if (!config->detach && alone) return option_complain(&submit_option_spec, alone, "is for --detach only");
    return config->detach ? detach_options_check(&submit_option_spec, d) : EXIT_OK;
}

/* Sets *path to the path of the request. If the command line has --max-rate, the path has a query with max_rate. */
static int set_path(struct submit_config *config, struct buf *path)
{
    double spacing_s;
    char number[40];
    buf_add_str(path, PATH_JOBS);
    if (config->max_rate) {
        if (!option_read_rate(config->max_rate, &spacing_s))
            return option_complain(&submit_option_spec, "max-rate", "must be a number above 0, with /s, /m or /h");
        snprintf(number, sizeof number, "%.15g", 1 / spacing_s);
        query_add(path, "max_rate", number);
    }
    config->detached.path = buf_cstr(path);
    return EXIT_OK;
}

int command_submit(int argc, char **argv)
{
    struct submit_config config = {0};
    struct option_result result;
    struct target target = {0};
    struct connection connection;
    struct buf job = {0}, path = {0};
    char err[256];
    int status;
    if (!option_parse(&submit_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if ((status = check(&config)) != EXIT_OK) return status;
    if ((status = target_config_check(&submit_option_spec, &config.client)) != EXIT_OK) return status;
    if ((status = set_path(&config, &path)) != EXIT_OK) goto out;
    status = EXIT_JOB_FAILED;
    interrupt_init();
    connection_init(&connection, &target);
    if (config.ndjson) connection.answer_max = CONNECTION_LINE_BYTES;
    if (!read_all(config.file, &job))
        status = interrupt_signal() ? EXIT_JOB_FAILED : EXIT_USAGE;
    else if (config.detach)
        status = detach_job(&submit_option_spec, &config.client, &config.detached, config.file, &job);
    else if (!target_init(&target, &config.client, err, sizeof(err)))
        complain("%s", err);
    else
        status = submit(&connection, &config, &job);
    connection_release(&connection);
    target_release(&target);
out:
    buf_release(&job);
    buf_release(&path);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    return status;
}
