#include "cli/fleet/command_task.h"

#include "common/base/limits.h"
#include "common/json/byte_text.h"

/* Adds a string that the user gave. */
static void add_text(const struct command_task *t, struct buf *json, const char *text)
{
    if (!t->raw)
        buf_add_json_string(json, text, strlen(text));
    else if (!byte_text_add(json, text, strlen(text)))
        BUG("a buffer without a cap is full");
}

static void separate(struct buf *json)
{
    if (json->data[json->len - 1] != '[') buf_add_char(json, ',');
}

static void add_word(struct buf *json, const char *word)
{
    separate(json);
    buf_add_json_string(json, word, strlen(word));
}

static void add_option(struct buf *json, const char *option, const char *value)
{
    add_word(json, option);
    add_word(json, value);
}

static void add_host_options(const struct command_task *t, const struct command_files *files, struct buf *json)
{
    char number[16], total[24];
    buf_add_str(json, ",\"host_options\":[");
    add_option(json, "--gate", files->gate);
    if (t->passes_lines) add_option(json, "--lines", files->lines);
    if (t->records) add_word(json, "--record");
    if (t->raw) add_word(json, "--raw");
    if (t->tag) {
        add_word(json, "--tag");
        separate(json);
        add_text(t, json, t->tag);
    }
    if (t->results) {
        add_word(json, "--results");
        separate(json);
        add_text(t, json, t->results);
    }
    if (t->blocks) add_option(json, "--blocks", t->blocks);
    if (t->header) add_option(json, "--block-header", t->header);
    if (t->shell) add_option(json, "--shell", t->shell);
    if (t->repeats) add_word(json, "--repeat");
    if (t->blanks) add_word(json, "--blanks");
    if (t->dry_run) add_word(json, t->quotes_lines ? "--dry-run-quoted" : "--dry-run");
    if (t->plus) add_word(json, "--plus");
    snprintf(total, sizeof total, "%llu", (unsigned long long)t->total);
    if (t->total) add_option(json, "--total", total);
    for (char *const *name = t->columns; t->results && name && *name; name++) {
        add_word(json, "--column");
        separate(json);
        add_text(t, json, *name);
    }
    if (t->quotes_words) add_word(json, "--quote-words");
    if (t->is_code) add_word(json, "--code");
    if (t->ignores_items) add_word(json, "--ignore-item");
    if (t->sets_variables) add_word(json, "--parallel-variables");
    if (t->slot_name) {
        add_word(json, "--slot-variable");
        separate(json);
        add_text(t, json, t->slot_name);
    }
    snprintf(number, sizeof number, "%d", t->nice);
    if (t->nice) add_option(json, "--nice", number);
    buf_add_char(json, ']');
}

void command_task_describe(const struct command_task *t, const struct command_files *files, const char *cwd,
                           struct buf *json)
{
    buf_add_str(json, "{\"mode\":\"exec\",\"command\":[");
    for (char *const *word = t->words; *word; word++) {
        separate(json);
        add_text(t, json, *word);
    }
    buf_addf(json, "],\"input\":\"%s\",\"append\":%s,\"row\":%s,\"output\":\"%s\"", t->items_are_text ? "text" : "json",
             t->item_to_stdin || t->blocks ? "false" : "true", t->items_are_rows ? "true" : "false",
             t->values_are_text ? "text" : "auto");
    buf_add_str(json, ",\"own_tmpdir\":false,\"in_order\":true");
    buf_addf(json, ",\"error_output_bytes\":%u", LIMIT_ERROR_TAIL_BYTES);
    add_host_options(t, files, json);
    if (t->placeholder) {
        buf_add_str(json, ",\"placeholder\":");
        add_text(t, json, t->placeholder);
    }
    if (cwd) {
        buf_add_str(json, ",\"cwd\":");
        buf_add_json_string(json, cwd, strlen(cwd));
    }
    buf_add_str(json, "}\n");
}
