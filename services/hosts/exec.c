/*
 * fantail-host-exec: runs a command once for every item. exec_item.h and exec_template.h describe how the command gets
 * the item. exec_answer.h describes how the output becomes an answer. line_io.h describes the protocol. The environment
 * of the command has the job's common value in FANTAIL_COMMON, as JSON, and the span of the item in TRACEPARENT and
 * TRACESTATE, which OpenTelemetry defines. With --row it also has the index of the item in FANTAIL_INDEX.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include "hosts/exec_answer.h"
#include "hosts/exec_item.h"
#include "hosts/exec_run.h"
#include "hosts/exec_template.h"
#include "hosts/line_io.h"

static const char help[] =
    "usage: fantail-host-exec [OPTIONS] -- COMMAND [ARGUMENTS]\n"
    "Each line of stdin is one JSON value. Runs COMMAND once for each line, and writes one answer line.\n"
    "{} in the arguments is replaced by the item. Without {} the item is the command's stdin.\n"
    "\n"
    "  --text          write a string to stdin without its quotes and escapes\n"
    "  --append        if no argument has {}, add the item as the last argument\n"
    "  --row           each item is an array [index, value, ...]; the arguments may have {.} {/} {//} {/.} {#} {1}\n"
    "  --placeholder S this text stands for the item in the arguments, instead of {}\n"
    "  --output HOW    read stdout as json, as text (one string), as lines (an array of strings), or as\n"
    "                  auto (json if it is valid, else text; this is the default)\n"
    "  --timeout S     kill the command after S seconds\n";

enum { KEEP_BYTES = 4 * MIB }; /* a buffer that has grown larger for one item is freed */

struct options {
    bool text, append, row;
    const char *placeholder; /* NULL: {} */
    enum exec_output output;
    uint64_t timeout_ms;
};

struct exec_host {
    struct options options;
    struct exec_template template;
    struct exec_row row;
    struct exec_args args;
    struct runner runner;
    struct buf line;
};

static uint64_t parse_timeout(const char *word)
{
    char *end;
    double seconds = strtod(word, &end);
    if (end == word || *end || !(seconds > 0 && seconds < 1e9))
        die(2, "--timeout must be a number of seconds above 0, not %s", word);
    return (uint64_t)(seconds * 1000) + 1;
}

static char **parse_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"text", no_argument, NULL, 't'},
        {"append", no_argument, NULL, 'a'},
        {"placeholder", required_argument, NULL, 'p'},
        {"row", no_argument, NULL, 'r'},
        {"output", required_argument, NULL, 'o'},
        {"timeout", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
        switch (c) {
        case 't': o->text = true; break;
        case 'a': o->append = true; break;
        case 'r': o->row = true; break;
        case 'p':
            if (!*optarg) die(2, "--placeholder must not be empty");
            o->placeholder = optarg;
            break;
        case 's': o->timeout_ms = parse_timeout(optarg); break;
        case 'o':
            if (!exec_output_parse(optarg, &o->output))
                die(2, "--output must be auto, json, text or lines, not %s", optarg);
            break;
        case 'h': fputs(help, stdout); exit(0);
        case 'v': puts("fantail-host-exec " FANTAIL_VERSION); exit(0);
        default: fputs(help, stderr); exit(2);
        }
    }
    if (optind == argc) die(2, "the command is missing; see --help");
    return argv + optind;
}

/* Reads the item into h->row. On failure returns false, with an answer in h->line. */
static bool read_row(struct exec_host *h, const char *item, size_t len)
{
    const char *why = "the item has half of a surrogate pair (\\ud800 to \\udfff), which UTF-8 cannot express";
    bool good = h->options.row ? exec_row_parse(&h->row, item, len, &why) : exec_row_set(&h->row, item, len);
    if (!good) exec_answer_error(&h->line, "task_error", why);
    return good;
}

static bool has_nul(const struct exec_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        if (memchr(exec_row_text(row, i), '\0', row->values[i].len)) return true;
    return false;
}

static void set_index(uint64_t index)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)index);
    setenv("FANTAIL_INDEX", text, 1);
}

static void answer(struct exec_host *h, const char *item, size_t len)
{
    const char *input = NULL;
    size_t input_len = 0;
    bool is_read = h->options.text || h->options.row || exec_template_takes(&h->template, &h->row);
    if (is_read && !read_row(h, item, len)) return;
    bool in_args = exec_template_takes(&h->template, &h->row);
    if (in_args && has_nul(&h->row)) {
        exec_answer_error(&h->line, "task_error", "the item has a NUL character, which an argument cannot have");
        return;
    }
    const struct exec_value whole = {item, len, 0, 0}, *value = h->row.count ? h->row.values : &whole;
    if (!in_args) {
        input = h->options.text ? exec_row_text(&h->row, 0) : value->json;
        input_len = h->options.text ? value->len : value->json_len;
    }
    if (h->options.row) set_index(h->row.index);
    exec_args_build(&h->args, &h->template, &h->row);
    struct run_outcome outcome = runner_run(&h->runner, h->args.argv, input, input_len);
    exec_answer(&h->line, h->options.output, &h->runner, h->args.argv[0], outcome);
}

static void shrink(struct buf *b)
{
    if (b->alloc > KEEP_BYTES) buf_release(b);
}

static void put_variable(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void control(struct line_common *common, const char *line, size_t len)
{
    line_read_control(common, line, len);
    if (common->json) setenv("FANTAIL_COMMON", common->json, 1);
    put_variable("TRACEPARENT", common->traceparent);
    put_variable("TRACESTATE", common->tracestate);
}

static void serve(struct exec_host *h, int items_fd, int answers_fd)
{
    struct line_reader items = {0};
    struct line_common common = {0};
    char *line;
    size_t len;
    while (line_reader_fill(&items, items_fd)) {
        while (line_reader_next(&items, &line, &len)) {
            if (*line == '#') {
                control(&common, line, len);
                continue;
            }
            buf_clear(&h->line);
            answer(h, line, len);
            if (!write_all(answers_fd, h->line.data, h->line.len)) _exit(0);
            shrink(&h->line);
            shrink(&h->row.text);
            shrink(&h->runner.out);
        }
    }
    line_reader_release(&items);
    line_common_release(&common);
}

int main(int argc, char **argv)
{
    struct exec_host h = {0};
    int items_fd, answers_fd;
    char **command = parse_options(argc, argv, &h.options);
    const struct exec_markers markers = {h.options.placeholder ? h.options.placeholder : "{}", !h.options.row};
    exec_template_init(&h.template, command, &markers, h.options.append);
    signal(SIGPIPE, SIG_IGN);
    if (!claim_stdio(&items_fd, &answers_fd) || !runner_init(&h.runner, command[0], h.options.timeout_ms))
        die(1, "cannot set up: %s", strerror(errno));
    if (!write_all(answers_fd, LINE_READY, sizeof LINE_READY - 1)) return 0;
    serve(&h, items_fd, answers_fd);
    runner_release(&h.runner);
    exec_args_release(&h.args);
    exec_template_release(&h.template);
    exec_row_release(&h.row);
    buf_release(&h.line);
    return 0;
}
