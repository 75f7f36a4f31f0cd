/*
 * fantail-host-native PATH.so: calls fantail_task() of a shared object for every item. Tasks include fantail_task.h.
 * line_io.h describes the protocol.
 *
 * Several answers are written together (answers.h). If the task crashes, the host still writes the answers that were
 * complete before the crash, so that the worker can tell which item crashed the task.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "hosts/answers.h"
#include "hosts/fantail_task.h"
#include "hosts/line_io.h"

enum { FLUSH_BYTES = 128 * KIB, SIGNAL_STACK_BYTES = 16 * KIB, START_BYTES = 4 * KIB };

typedef int task_function(const struct fantail_item *, struct fantail_reply *);

struct host {
    struct fantail_reply reply; /* the value of the current answer; its bytes are in `answers` */
    struct answers answers;
    int items_fd;
    volatile bool is_child; /* this process is a child that the task has forked, not the host */
};

static struct host host;

static const char value_head[] = "{\"value\":";
static const char error_head[] = "{\"error\":{\"name\":\"task_error\",\"cause\":\"";
static const char error_tail[] = "\"}}\n";
enum { VALUE_HEAD = sizeof value_head - 1, ERROR_HEAD = sizeof error_head - 1, ERROR_TAIL = sizeof error_tail - 1 };

/* Makes the reply begin VALUE_HEAD bytes after the last answer, and keeps ERROR_TAIL bytes free after the reply. */
static void open_window(struct host *h)
{
    h->reply.data = answers_end(&h->answers) + VALUE_HEAD;
    h->reply.room = (size_t)(h->answers.data + h->answers.alloc - h->reply.data) - ERROR_TAIL;
}

static void host_grow(struct fantail_reply *reply, size_t extra)
{
    struct host *h = CONTAINER_OF(reply, struct host, reply);
    if (extra > SIZE_MAX / 2) BUG("a reply of %zu bytes", extra);
    answers_reserve(&h->answers, VALUE_HEAD + reply->len + extra + ERROR_TAIL);
    open_window(h);
}

static void start_answer(struct host *h)
{
    if (h->answers.alloc - h->answers.whole < START_BYTES) answers_reserve(&h->answers, START_BYTES);
    open_window(h);
    fantail_reply_clear(&h->reply);
}

/* Escapes text for a JSON string. Escaping makes at most six bytes of each byte. Non-ASCII bytes are copied unchanged;
 * the worker checks that they are UTF-8. */
static size_t escape(char *dst, const char *src, size_t len)
{
    char *at = dst;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)src[i];
        if (c == '"' || c == '\\') *at++ = '\\';
        if (c >= 0x20)
            *at++ = (char)c;
        else
            at += snprintf(at, 7, "\\u%04x", c);
    }
    return (size_t)(at - dst);
}

static void add_error(struct host *h, const char *cause, size_t len)
{
    char message[1024];
    if (len > sizeof message) len = sizeof message;
    memcpy(message, cause, len);
    fantail_reply_clear(&h->reply);
    fantail_reply_room(&h->reply, ERROR_HEAD + 6 * sizeof message);
    char *start = answers_end(&h->answers), *at = start;
    memcpy(at, error_head, ERROR_HEAD);
    at += ERROR_HEAD;
    at += escape(at, message, len);
    memcpy(at, error_tail, ERROR_TAIL);
    answers_add(&h->answers, (size_t)(at - start) + ERROR_TAIL);
}

static void end_answer(struct host *h, int status)
{
    if (h->reply.failed) {
        add_error(h, h->reply.data, h->reply.len);
    } else if (status != 0) {
        char cause[64];
        int len = snprintf(cause, sizeof cause, "fantail_task returned %d", status);
        add_error(h, cause, (size_t)len);
    } else {
        if (h->reply.len == 0) fantail_reply_value(&h->reply, "null", 4);
        memcpy(h->reply.data - VALUE_HEAD, value_head, VALUE_HEAD);
        memcpy(h->reply.data + h->reply.len, "}\n", 2);
        answers_add(&h->answers, VALUE_HEAD + h->reply.len + 2);
    }
}

static void serve(struct host *h, task_function *task)
{
    struct line_reader items = {0};
    struct line_common common = {0};
    char *line;
    size_t len;
    while (line_reader_fill(&items, h->items_fd)) {
        answers_set_serving(&h->answers, true);
        while (line_reader_next(&items, &line, &len)) {
            if (*line == '#') {
                line_read_control(&common, line, len);
                continue;
            }
            struct fantail_item item = {.json = line,
                                        .len = len,
                                        .common = common.json,
                                        .common_len = common.len,
                                        .traceparent = common.traceparent,
                                        .tracestate = common.tracestate};
            if (!line_reader_is_empty(&items) || h->answers.whole) answers_before_item(&h->answers);
            start_answer(h);
            int status = task(&item, &h->reply);
            if (h->is_child) _exit(0);
            end_answer(h, status);
            if (h->answers.whole > FLUSH_BYTES) answers_flush(&h->answers);
        }
        answers_flush(&h->answers);
        answers_set_serving(&h->answers, false);
    }
    line_reader_release(&items);
    line_common_release(&common);
}

static void on_crash(int signal_number)
{
    answers_rescue(&host.answers);
    raise(signal_number); /* because of SA_RESETHAND, the signal now ends the process */
}

static void catch_crashes(void)
{
    static char stack[SIGNAL_STACK_BYTES];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) sigaction(signals[i], &action, NULL);
}

/* Runs in a process that the task has forked. The forked process has copies of our pipes and of unwritten answers, and
 * must not use these copies. */
static void isolate_child(void)
{
    host.is_child = true;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0) _exit(1);
    dup3(null_fd, host.items_fd, O_CLOEXEC);
    dup3(null_fd, host.answers.fd, O_CLOEXEC);
    close(null_fd);
}

static task_function *load(const char *path)
{
    char with_slash[4096];
    snprintf(with_slash, sizeof with_slash, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *object = dlopen(with_slash, RTLD_NOW | RTLD_LOCAL);
    const char *why = object ? NULL : dlerror();
    char *cwd = get_current_dir_name();
    if (!object && access(with_slash, F_OK) != 0)
        die(1, "there is no %s in the folder %s: compile the task first", path, cwd ? cwd : "(unknown)");
    if (!object) die(1, "cannot load %s in the folder %s: %s", path, cwd ? cwd : "(unknown)", why);
    task_function *task;
    *(void **)&task = dlsym(object, "fantail_task");
    if (!task) die(1, "%s in the folder %s does not define fantail_task()", path, cwd ? cwd : "(unknown)");
    free(cwd);
    return task;
}

#define USAGE "usage: fantail-host-native PATH.so"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) return puts(USAGE) == EOF;
    if (argc != 2 || argv[1][0] == '-') die(2, USAGE);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0); /* the output of a task appears line by line */
    int answers_fd;
    if (!claim_stdio(&host.items_fd, &answers_fd)) die(1, "cannot set up stdin and stdout: %s", strerror(errno));
    answers_init(&host.answers, answers_fd);
    host.reply.grow = host_grow;
    pthread_atfork(NULL, NULL, isolate_child);
    task_function *task = load(argv[1]);
    catch_crashes();
    if (!write_all(answers_fd, LINE_READY, sizeof LINE_READY - 1)) return 0;
    serve(&host, task);
    return 0;
}
