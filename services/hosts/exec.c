/*
 * fantail-host-exec: runs a command once for every item. exec_item.h and exec_template.h describe how the command gets
 * the item. exec_answer.h describes how the output becomes an answer. line_io.h describes the protocol. In the
 * environment of the command, FANTAIL_COMMON has the job's common value as JSON. The variables TRACEPARENT and
 * TRACESTATE, which OpenTelemetry defines, have the span of the item. With --row, the environment also has the index of
 * the item in FANTAIL_INDEX. With --gate, it has the slot in FANTAIL_SLOT. With --blocks, an item names a block: a part
 * of a file, or a whole file. The command gets the block on its stdin (runs/block_feed.h).
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "hosts/exec_answer.h"
#include "hosts/exec_item.h"
#include "hosts/exec_options.h"
#include "hosts/exec_record.h"
#include "hosts/exec_run.h"
#include "hosts/exec_template.h"
#include "hosts/line_io.h"
#include "hosts/runs/attempts.h"
#include "hosts/runs/line_pipe.h"
#include "hosts/runs/tag_lines.h"
#include "protocol/shell_quote.h"

enum { KEEP_BYTES = 4 * MIB }; /* a buffer that has grown larger for one item is freed */

struct exec_host {
    struct exec_options options;
    struct exec_template template;
    struct exec_template tag; /* the template of tag_words */
    char *tag_words[2];       /* NULL-ended */
    struct gate gate;
    struct exec_row row;
    struct exec_args args;
    struct runner runner;
    struct result_files files; /* with --results */
    struct feed_block block;   /* with --blocks */
    struct buf line, text, tag_text, path;
    int attempts_fd;  /* -1: an item has one attempt */
    unsigned attempt; /* number of the attempt at the current item, from 1 on */
};

/* Reads the item into h->row. On failure returns false, with an answer in h->line. */
static bool read_row(struct exec_host *h, const char *item, size_t len)
{
    const char *why = "the item has half of a surrogate pair (\\ud800 to \\udfff), which UTF-8 cannot express";
    bool good = h->options.row ? exec_row_parse(&h->row, item, len, &why) : exec_row_set(&h->row, item, len);
    if (!good) exec_answer_error(&h->line, "task_error", why);
    return good;
}

static uint64_t number_of(const struct exec_row *row, size_t i)
{
    return strtoull(exec_row_text(row, i), NULL, 10);
}

/* Sets h->block to the block that is named by the values in h->row. Then removes the values, so that they do not become
 * arguments. On failure returns false, with an answer in h->line. */
static bool take_block(struct exec_host *h)
{
    struct exec_row *row = &h->row;
    if (row->count < 2 || row->count > 3) {
        exec_answer_error(&h->line, "task_error", "the item is not a block [index, offset, bytes]");
        return false;
    }
    buf_clear(&h->path);
    buf_add_str(&h->path, h->options.blocks);
    if (row->count == 3) buf_addf(&h->path, "/%s", exec_row_text(row, 2));
    h->block = (struct feed_block){
        .path = buf_cstr(&h->path),
        .offset = number_of(row, 0),
        .bytes = number_of(row, 1),
        .header_at = h->options.header_at,
        .header_bytes = h->options.header_bytes,
        .whole = row->count == 3,
    };
    row->count = 0;
    return true;
}

static bool has_nul(const struct exec_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        if (memchr(exec_row_text(row, i), '\0', row->values[i].len)) return true;
    return false;
}

static void set_number(const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    setenv(name, text, 1);
}

/* Sets the variables and the arguments of the item. They may contain the slot, which is known only when the command
 * starts. */
static void build_arguments(struct exec_host *h)
{
    if (h->options.row) set_number("FANTAIL_INDEX", h->row.index);
    if (h->row.slot) set_number("FANTAIL_SLOT", h->row.slot);
    if (h->options.parallel_variables) {
        set_number("PARALLEL_SEQ", h->row.index + 1);
        set_number("PARALLEL_JOBSLOT", h->row.slot);
    }
    if (h->options.slot_variable && h->row.slot) set_number(h->options.slot_variable, h->row.slot - 1);
    exec_args_build(&h->args, &h->template, &h->row);
}

/* Waits until the command may start. Returns false if the run is halted. */
static bool enter(struct exec_host *h)
{
    if (!h->gate.shared) return true;
    if (!gate_enter(&h->gate, h->row.index)) return false;
    h->row.slot = gate_slot(&h->gate);
    return true;
}

/* Adds the command line, quoted for a shell. */
static void add_command_line(const struct exec_host *h, struct buf *text)
{
    if (h->options.shell && h->args.argv) {
        buf_add_str(text, h->args.argv[2]); /* after the shell and -c */
        return;
    }
    for (char **word = h->args.argv; word && *word; word++) {
        if (word != h->args.argv) buf_add_char(text, ' ');
        shell_quote_add(text, *word, strlen(*word));
    }
}

/* Quotes the whole output as one word of a shell. */
static void quote_output(struct exec_host *h)
{
    struct buf line = h->runner.out;
    h->runner.out = (struct buf){0};
    shell_quote_add(&h->runner.out, line.data, line.len);
    buf_release(&line);
}

/* For --dry-run: makes the command line the output. */
static void show_command(struct exec_host *h)
{
    buf_clear(&h->runner.out);
    add_command_line(h, &h->runner.out);
    if (h->options.quoted) quote_output(h);
    buf_add_char(&h->runner.out, '\n');
}

static bool has_succeeded(struct run_outcome outcome)
{
    return outcome.end == RUN_EXITED && outcome.code == 0;
}

/* Returns whether the coordinator will send the item again: the command has failed with an error that is retried, and
 * the item has attempts left. */
static bool is_retried(const struct exec_host *h, struct run_outcome outcome)
{
    if (h->attempts_fd < 0 || has_succeeded(outcome)) return false;
    const struct run_gate_rules *r = &h->gate.shared->rules;
    return h->attempt < r->attempts && (r->retried & 1u << exec_error_of(outcome));
}

static void leave(struct exec_host *h, struct run_outcome outcome)
{
    enum run_gate_end end = has_succeeded(outcome) ? RUN_GATE_END_SUCCEEDED : RUN_GATE_END_FAILED;
    if (outcome.end == RUN_YIELDED || outcome.end == RUN_HALTED || is_retried(h, outcome)) end = RUN_GATE_END_AGAIN;
    if (h->gate.shared) gate_leave(&h->gate, end);
}

/* Makes the files of --results for the command. */
static bool open_files(struct exec_host *h)
{
    struct result_files *f = h->runner.files;
    if (!f) return true;
    char number[24];
    result_files_begin(f, h->row.index + 1);
    snprintf(number, sizeof number, "%llu", (unsigned long long)h->row.index + 1);
    if (h->options.blocks) result_files_enter(f, 1, NULL, number, strlen(number));
    for (size_t i = 0; i < h->row.count; i++)
        result_files_enter(f, i + 1, i < h->options.columns_count ? h->options.columns[i] : NULL,
                           exec_row_text(&h->row, i), h->row.values[i].len);
    return result_files_open(f);
}

static struct run_outcome run_once(struct exec_host *h, const struct run_input *input)
{
    if (h->options.tag) {
        buf_clear(&h->tag_text);
        exec_template_join(&h->tag, &h->row, &h->tag_text);
    }
    if (!open_files(h)) return (struct run_outcome){RUN_UNSAVED, errno};
    struct run_outcome outcome = runner_run(&h->runner, h->args.argv, input);
    if (h->runner.files && !result_files_end(h->runner.files, exec_record_status(outcome)))
        outcome = (struct run_outcome){RUN_UNSAVED, errno};
    return outcome;
}

/* Runs the command when the gate is open. A command that was killed because memory was short runs again later. */
static struct run_outcome run(struct exec_host *h, const struct run_input *input)
{
    struct run_outcome outcome;
    h->attempt = 1 + (h->attempts_fd >= 0 ? attempts_failed(h->attempts_fd, h->row.index) : 0);
    if (h->gate.shared && h->attempt == 1) gate_count_item(&h->gate);
    if (h->options.dry_run) {
        build_arguments(h);
        show_command(h);
        return (struct run_outcome){RUN_EXITED, 0};
    }
    do {
        if (!enter(h)) return (struct run_outcome){RUN_HALTED, 0};
        build_arguments(h);
        outcome = run_once(h, input);
        leave(h, outcome);
    } while (outcome.end == RUN_YIELDED);
    return outcome;
}

/* Tags the output of a command. Returns `outcome`, or RUN_TOO_LONG if the tagged output is too long. */
static struct run_outcome tag_output(struct exec_host *h, struct run_outcome outcome)
{
    buf_clear(&h->text);
    exec_template_join(&h->tag, &h->row, &h->text);
    if (tag_lines(&h->runner.out, h->text.data, h->text.len)) return outcome;
    return (struct run_outcome){RUN_TOO_LONG, 0};
}

/* Returns the name of the command's program. The name may come from the item. */
static const char *program_of(const struct exec_host *h)
{
    return h->args.argv ? h->args.argv[0] : h->options.command[0];
}

static void add_record(struct exec_host *h, struct run_outcome outcome, size_t sent)
{
    const struct exec_record record = {
        .index = h->row.index,
        .slot = h->row.slot,
        .attempt = h->attempt,
        .sent = sent,
        .program = program_of(h),
        .command = &h->text,
        .runner = &h->runner,
        .outcome = outcome,
    };
    buf_clear(&h->text);
    add_command_line(h, &h->text);
    exec_record_add(&h->line, h->options.output, &record);
}

/* Sets *input to what the command reads from its stdin: the block, the item, or nothing if the arguments have the item.
 */
static void set_input(const struct exec_host *h, const char *item, size_t len, struct run_input *input)
{
    const struct exec_value whole = {item, len, 0, 0}, *value = h->row.count ? h->row.values : &whole;
    *input = (struct run_input){0};
    if (h->options.blocks) {
        input->block = &h->block;
        input->len = h->block.header_bytes + h->block.bytes;
    } else if (!exec_template_takes(&h->template, &h->row)) {
        input->text = h->options.text ? exec_row_text(&h->row, 0) : value->json;
        input->len = h->options.text ? value->len : value->json_len;
    }
}

static void answer(struct exec_host *h, const char *item, size_t len)
{
    struct run_input input;
    bool is_read =
        h->options.text || h->options.row || h->options.results || exec_template_takes(&h->template, &h->row);
    if (is_read && !read_row(h, item, len)) return;
    if (h->options.blocks && !take_block(h)) return;
    if (exec_template_takes(&h->template, &h->row) && has_nul(&h->row)) {
        exec_answer_error(&h->line, "task_error", "the item has a NUL character, which an argument cannot have");
        return;
    }
    set_input(h, item, len, &input);
    struct run_outcome outcome = run(h, &input);
    if (h->options.tag && !h->options.lines && outcome.end != RUN_HALTED) outcome = tag_output(h, outcome);
    if (h->options.record && !is_retried(h, outcome))
        add_record(h, outcome, input.len);
    else
        exec_answer(&h->line, h->options.output, &h->runner, program_of(h), outcome);
    if (is_retried(h, outcome)) attempts_note_failure(h->attempts_fd, h->row.index);
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
    while (line_reader_fill_line(&items, items_fd)) {
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

static void open_gate(struct exec_host *h)
{
    if (!h->options.gate) return;
    if (!gate_open(&h->gate, h->options.gate)) die(1, "cannot use the gate %s: %s", h->options.gate, strerror(errno));
    h->row.slot = h->gate.seat + 1;
    h->runner.gate = &h->gate;
    if (h->gate.shared->rules.attempts < 2) return;
    h->attempts_fd = attempts_open(h->options.gate);
    if (h->attempts_fd < 0) die(1, "cannot open the file %s.attempts: %s", h->options.gate, strerror(errno));
}

static void prepare(struct exec_host *h)
{
    const struct exec_options *o = &h->options;
    const struct exec_markers markers = {o->placeholder ? o->placeholder : "{}", !o->row, o->plus};
    exec_template_init(&h->template, o->command, &markers, o->append);
    h->tag_words[0] = o->tag;
    exec_template_init(&h->tag, h->tag_words, &markers, false);
    h->template.blanks = h->tag.blanks = o->blanks;
    h->template.total = h->tag.total = o->total;
    h->template.repeats = o->repeat;
    h->template.shell = o->shell;
    h->template.quotes = o->shell != NULL && !o->code && !o->quote_words;
    h->template.quotes_words = o->quote_words;
    h->template.ignores = o->ignore_item;
    h->runner.nice = o->nice;
    if (o->lines) h->runner.lines_fd = line_pipe_open(o->lines);
    if (o->lines && h->runner.lines_fd < 0) die(1, "cannot open the pipe %s: %s", o->lines, strerror(errno));
    if (o->tag) h->runner.tag = &h->tag_text;
    result_files_init(&h->files, o->results);
    if (o->results) h->runner.files = &h->files;
    h->row.raw = o->raw;
    open_gate(h);
}

int main(int argc, char **argv)
{
    struct exec_host h = {.attempts_fd = -1};
    int items_fd, answers_fd;
    exec_options_read(&h.options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    const struct exec_options *o = &h.options;
    if (!claim_stdio(&items_fd, &answers_fd) || !runner_init(&h.runner, o->timeout_ms, o->error_bytes))
        die(1, "cannot set up: %s", strerror(errno));
    prepare(&h);
    if (!write_all(answers_fd, LINE_READY, sizeof LINE_READY - 1)) return 0;
    serve(&h, items_fd, answers_fd);
    gate_close(&h.gate);
    result_files_release(&h.files);
    runner_release(&h.runner);
    exec_args_release(&h.args);
    exec_template_release(&h.template);
    exec_template_release(&h.tag);
    exec_row_release(&h.row);
    free(h.options.columns);
    buf_release(&h.line);
    buf_release(&h.text);
    buf_release(&h.tag_text);
    buf_release(&h.path);
    return 0;
}
