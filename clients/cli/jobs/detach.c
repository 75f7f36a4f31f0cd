#include "cli/jobs/detach.h"

#include <errno.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/json_member.h"
#include "cli/base/standard_output.h"
#include "cli/http/caller_trace.h"
#include "cli/http/query.h"
#include "cli/http/refusal.h"
#include "cli/jobs/each_job.h"
#include "common/json/encoding.h"
#include "protocol/protocol.h"

#define PIECE_BYTES    (256u << 10)
#define KEY_MAX        255
#define RANDOM_KEY_HEX 32

static bool is_key(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++)
        if (key[i] < ' ' || key[i] > '~') return false;
    return len > 0 && len <= KEY_MAX;
}

static int check_label(const struct option_spec *spec, unsigned number, const char *label)
{
    size_t text = encoding_text_length(label, strlen(label));
    if (label[text])
        return option_complain(spec, "label", "label %u is not valid UTF-8 (byte %zu of the label)", number, text);
    if (!strchr(label, ',')) return EXIT_OK;
    return option_complain(spec, "label", "\"%s\" has a comma; give --label once for each label", label);
}

int detach_options_check(const struct option_spec *spec, const struct detach_options *o)
{
    int status = EXIT_OK;
    for (unsigned i = 0; i < o->labels.count && status == EXIT_OK; i++)
        status = check_label(spec, i + 1, o->labels.words[i]);
    if (status != EXIT_OK) return status;
    if (o->key && !is_key(o->key))
        return option_complain(spec, "idempotency-key", "must be 1 to " TEXT_OF(KEY_MAX) " printable ASCII characters");
    return EXIT_OK;
}

/* Adds the key as a string of RFC 8941: in quotes, with \ before quotes and backslashes. */
static void add_key(struct buf *headers, const char *key)
{
    buf_add_str(headers, "Idempotency-Key: \"");
    for (; *key; key++) {
        if (strchr("\"\\", *key)) buf_add_char(headers, '\\');
        buf_add_char(headers, *key);
    }
    buf_add_str(headers, "\"\r\n");
}

static void make_random_key(char key[RANDOM_KEY_HEX + 1])
{
    unsigned char bytes[RANDOM_KEY_HEX / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) BUG("getrandom failed: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(bytes); i++) snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

static void add_labels(const struct detach_options *o, struct buf *path)
{
    struct buf labels = {0};
    for (unsigned i = 0; i < o->labels.count; i++) buf_addf(&labels, "%s%s", i ? "," : "", o->labels.words[i]);
    if (labels.len) query_add(path, "labels", buf_cstr(&labels));
    buf_release(&labels);
}

static int complain_without_store(const struct job_service *s)
{
    complain("the coordinator at %s has no job store, so it cannot keep the job, and the job was not run. Start the "
             "coordinator with --store sqlite:PATH, or submit the job without --detach and stay connected",
             s->target.url);
    return EXIT_JOB_FAILED;
}

/* A coordinator without a store would run the job while this program is connected. So this program first asks whether
 * there is a store. Without a store, this program does not send the job, so no item runs. */
static int check_store(struct job_service *s)
{
    struct buf scope = {0};
    int status = job_service_get(s, PATH_JOBS);
    const struct buf *answer = &s->http.answer;
    bool is_list = !status && answer->len && json_member_read(answer->data, answer->len, "scope", &scope);
    if (!status && !is_list) {
        complain("the answer is not a list of jobs of a fantail coordinator; check --url");
        status = EXIT_JOB_FAILED;
    }
    if (is_list && strcmp(buf_cstr(&scope), "store") != 0) status = complain_without_store(s);
    buf_release(&scope);
    return status;
}

/* Call it if the answer is a stream. A stream means that the job is not stored and runs only while this program is
 * connected. So this function closes the connection, which cancels the job. */
static int give_up(struct job_service *s)
{
    connection_close(&s->http);
    complain("the coordinator at %s did not store the job as a durable job, but started it immediately, so fantail "
             "cancelled it. Start every replica with --store, or submit the job without --detach",
             s->target.url);
    return EXIT_JOB_FAILED;
}

/* Asks for NDJSON, because the head of an NDJSON answer comes before the results. So this program notices early if the
 * job is not stored. */
static void make_headers(const char *type, const char *key, struct buf *headers)
{
    buf_addf(headers, "Content-Type: %s\r\nAccept: " TYPE_NDJSON ", " TYPE_JSON ";q=0.5\r\nPrefer: respond-async\r\n",
             type);
    if (key) add_key(headers, key);
    caller_trace_add(headers);
}

static void say_hint(const struct job_service *s)
{
    struct buf hint = {0};
    const struct buf *answer = &s->http.answer;
    if (answer->len && json_member_read(answer->data, answer->len, "hint", &hint))
        complain("hint: %s", buf_cstr(&hint));
    buf_release(&hint);
}

/* Reads the answer to the submission, and prints the id. The job comes from `file`. */
static int finish(struct job_service *s, const struct detach_options *o, const char *file)
{
    struct remote_job accepted;
    bool runs = s->http.job_was_accepted || connection_has_type(&s->http, TYPE_NDJSON);
    if (s->http.status == 200 && !s->http.async_applied && runs) return give_up(s);
    if (s->http.status != 200 && s->http.status != 202) return refusal_complain_of_file(&s->http, file);
    int status = job_service_answered_job(s, &accepted);
    if (!status && o->json) job_print_json(&accepted);
    if (!status && !o->json) printf("%s\n", accepted.id);
    if (!status) say_hint(s);
    return standard_output_end(status);
}

static int send_job(struct job_service *s, const struct detach_options *o, const char *file, const struct buf *job)
{
    struct buf path = {0}, headers = {0};
    char random_key[RANDOM_KEY_HEX + 1];
    make_random_key(random_key);
    buf_add_str(&path, o->path);
    add_labels(o, &path);
    make_headers(TYPE_JSON, o->key ? o->key : random_key, &headers);
    const struct job_request request = {
        .method = "POST",
        .path = buf_cstr(&path),
        .headers = buf_cstr(&headers),
        .body = job->data,
        .len = job->len,
        .may_repeat = true,
        .repeats_at_409 = true,
        .stops_at_stream = true,
    };
    bool answered = job_service_ask(s, &request);
    buf_release(&path);
    buf_release(&headers);
    return answered ? finish(s, o, file) : EXIT_JOB_FAILED;
}

int detach_job(const struct option_spec *spec, const struct target_config *client, const struct detach_options *o,
               const char *file, const struct buf *job)
{
    struct job_service service;
    int status = job_service_init(&service, spec, client, o->reconnect_s);
    if (!status) status = check_store(&service);
    if (!status) status = send_job(&service, o, file, job);
    job_service_release(&service);
    return status;
}

/* Waits for input or for an early answer, and sends the input as a piece of the body. If the input cannot be read to
 * its end, complains and returns false. */
static bool send_piece(struct job_service *s, struct input_source *source, char *piece)
{
    struct connection *c = &s->http;
    struct pollfd fds[3] = {{.fd = input_source_poll_fd(source), .events = POLLIN},
                            {.fd = c->fd, .events = connection_events(c)},
                            {.fd = interrupt_fd(), .events = POLLIN}};
    if (poll(fds, 3, -1) <= 0) return true;
    if (fds[1].revents) connection_step(c);
    if (!fds[0].revents || !connection_wants_piece(c)) return true;
    ssize_t n = input_source_read(source, piece, PIECE_BYTES);
    if (n == 0 && input_source_fault(source)) {
        complain("%s, so the job was not stored", input_source_fault(source));
        return false;
    }
    if (n == 0 && c->upload_left > 0) {
        complain("the input became shorter while it was read, so the job was not stored");
        return false;
    }
    if (n >= 0) connection_give_piece(c, piece, (size_t)n);
    if (n >= 0 || errno == EINTR || errno == EAGAIN) return true;
    complain("cannot read the items: %s", strerror(errno));
    return false;
}

/* Returns how many bytes are left in the source. Returns -1 if the source is not a file, or if no bytes are left. */
static int64_t input_length(const struct input_source *source)
{
    struct stat st;
    if (source->has_records || fstat(source->fd, &st) != 0 || !S_ISREG(st.st_mode)) return -1;
    off_t at = lseek(source->fd, 0, SEEK_CUR);
    return at >= 0 && at < st.st_size ? st.st_size - at : -1;
}

/* Sends the items. Returns whether an answer has arrived. If no answer has arrived, complains, unless a signal asks the
 * program to end. */
static bool upload(struct job_service *s, struct input_source *source, const char *path, const char *headers)
{
    struct connection *c = &s->http;
    char *piece = xmalloc(PIECE_BYTES);
    bool good = true;
    connection_upload(c, "POST", path, headers, input_length(source));
    while (good && c->state != CONNECTION_DONE && c->state != CONNECTION_BROKEN && !interrupt_signal()) {
        if (c->state == CONNECTION_READING && c->status == 200) break;
        good = connection_wants_piece(c) ? send_piece(s, source, piece) : job_service_step(s);
    }
    if (c->error[0]) complain("%s. The job was not stored, unless `fantail jobs` lists it", c->error);
    free(piece);
    return good && c->state != CONNECTION_BROKEN && !interrupt_signal();
}

int detach_items(const struct target_config *client, const struct detach_options *o, const struct detach_body *body,
                 struct buf *path)
{
    struct job_service service;
    struct buf headers = {0};
    int status = job_service_init(&service, NULL, client, 0);
    add_labels(o, path);
    make_headers(body->type, o->key, &headers);
    if (!status) status = check_store(&service);
    service.http.first = body->first_line;
    if (!status && !upload(&service, body->source, buf_cstr(path), buf_cstr(&headers))) status = EXIT_JOB_FAILED;
    if (!status) status = finish(&service, o, "-");
    job_service_release(&service);
    buf_release(&headers);
    return status;
}
