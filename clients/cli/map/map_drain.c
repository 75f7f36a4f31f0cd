#include "cli/map/map_internal.h"

/* Items that were cancelled before they were sent to a worker. Their errors were read after the last answer, and are
 * not printed yet. */
struct unsent {
    uint64_t count;
    struct result_line first;
};

/* Returns the last line of the answer, without its newline. */
static struct json_slice last_line(const struct map_job *j)
{
    const struct buf *answer = &j->http.answer;
    const char *start = answer->data + j->http.answer_at;
    if (answer->len == j->http.answer_at || answer->data[answer->len - 1] != '\n') return (struct json_slice){0};
    size_t len = (size_t)(answer->data + answer->len - 1 - start);
    const char *newline = memrchr(start, '\n', len), *line = newline ? newline + 1 : start;
    return (struct json_slice){line, (size_t)(start + len - line)};
}

bool map_drain_look(struct map_job *j)
{
    const struct connection *c = &j->http;
    if (j->tail != MAP_TAIL_HELD || c->state == CONNECTION_BROKEN) return false;
    if (c->state != CONNECTION_DONE && c->answer.len - c->answer_at < MAP_TAIL_BYTES) return false;
    struct json_slice line = last_line(j);
    struct result_line r = result_line_read(line.data ? line.data : "", line.len);
    bool drains = c->state == CONNECTION_DONE && r.kind == RESULT_END && r.draining;
    j->tail = drains ? MAP_TAIL_DRAINED : MAP_TAIL_PRINTED;
    return !drains;
}

/* Prints the errors of items that have not run. Call this function before an answer to a later item is printed. With
 * MAP_ORDER_INPUT, the unsent items cannot be sent again, because their results would come after that answer. */
static void fail_unsent(struct map_run *run, struct map_job *j, struct unsent *unsent)
{
    unsent->first.count = unsent->count;
    if (unsent->count > 0) map_answers_print_line(run, j, &unsent->first);
    unsent->count = 0;
}

static void settle_line(struct map_run *run, struct map_job *j, const struct result_line *r, struct unsent *unsent)
{
    bool in_order = run->options->order == MAP_ORDER_INPUT;
    enum result_cut cut = result_line_cut(r);
    if (cut == RESULT_CUT_UNSENT) {
        if (unsent->count == 0) unsent->first = *r;
        if (in_order) unsent->count += r->count;
        return;
    }
    fail_unsent(run, j, unsent);
    if (cut == RESULT_NOT_CUT) {
        map_answers_print_line(run, j, r);
        return;
    }
    for (uint64_t i = r->index; i < r->index + r->count && run->state != MAP_STOPPED; i++)
        if (in_order || unanswered_note(&j->unanswered, i)) map_answers_add_lost_item(run, j, j->base + i);
}

void map_drain_settle(struct map_run *run, struct map_job *j, bool once)
{
    const struct buf *answer = &j->http.answer;
    const char *at = answer->data + j->http.answer_at, *end = answer->data + answer->len, *newline;
    struct unsent unsent = {0};
    bool in_order = run->options->order == MAP_ORDER_INPUT;
    if (in_order && !once) return; /* all items from the first unanswered one on run again */
    for (; (newline = memchr(at, '\n', (size_t)(end - at))) && run->state != MAP_STOPPED; at = newline + 1) {
        struct result_line r = result_line_read(at, (size_t)(newline - at));
        bool answer_of_item = (r.kind == RESULT_VALUE || r.kind == RESULT_ERROR) && r.has_index;
        if (!map_answers_check_line(run, &r)) return;
        if (answer_of_item && (once || result_line_cut(&r) == RESULT_NOT_CUT)) settle_line(run, j, &r, &unsent);
    }
}
