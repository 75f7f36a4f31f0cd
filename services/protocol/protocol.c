#include "protocol/protocol.h"

#include "common/json/json_own.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

static const char *const item_error_names[] = {
    [ITEM_TASK_ERROR] = "task_error",
    [ITEM_CRASHED] = "crashed",
    [ITEM_TIMED_OUT] = "timed_out",
    [ITEM_OUT_OF_MEMORY] = "out_of_memory",
    [ITEM_BAD_OUTPUT] = "bad_output",
    [ITEM_WORKER_LOST] = "worker_lost",
    [ITEM_START_TIMED_OUT] = "start_timed_out",
    [ITEM_CANCELLED] = "cancelled",
    [ITEM_DEADLINE_EXCEEDED] = "deadline_exceeded",
};
static_assert(ARRAY_SIZE(item_error_names) == ITEM_ERROR_COUNT, "every item error has a name");

const char *const reduce_words[REDUCE_KIND_COUNT] = {
    [REDUCE_NONE] = NULL, [REDUCE_SUM] = "sum", [REDUCE_COUNT] = "count",
    [REDUCE_MIN] = "min", [REDUCE_MAX] = "max", [REDUCE_CONCAT] = "concat",
};

static const char *const chunk_end_names[] = {
    [CHUNK_COMPLETE] = "complete",
    [CHUNK_DRAINING] = "draining",
    [CHUNK_DEADLINE] = "deadline",
};
static_assert(ARRAY_SIZE(chunk_end_names) == CHUNK_END_COUNT, "every chunk end has a name");

bool is_task_name(const char *name, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (len == 0 || len >= TASK_NAME_SIZE || name[0] == '.') return false;
    for (size_t i = 0; i < len; i++) {
        if (!name[i] || !strchr(allowed, name[i])) return false;
    }
    return true;
}

const char *item_error_name(enum item_error e)
{
    if ((unsigned)e >= ITEM_ERROR_COUNT) BUG("item error %d has no name", (int)e);
    return item_error_names[e];
}

enum idempotency idempotency_of_both(enum idempotency a, enum idempotency b)
{
    if (a == IDEMPOTENCY_NO || b == IDEMPOTENCY_NO) return IDEMPOTENCY_NO;
    return a == IDEMPOTENCY_YES && b == IDEMPOTENCY_YES ? IDEMPOTENCY_YES : IDEMPOTENCY_UNSAID;
}

const char *idempotency_json(enum idempotency i)
{
    static const char *const words[] = {
        [IDEMPOTENCY_UNSAID] = "null", [IDEMPOTENCY_NO] = "false", [IDEMPOTENCY_YES] = "true"};
    static_assert(ARRAY_SIZE(words) == IDEMPOTENCY_COUNT, "every idempotency has its word");
    return words[i];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool read_error(struct json_slice object, struct answer_line *answer)
{
    struct json_walk w;
    struct json_slice name, value;
    size_t offset;
    const char *why;
    if (object.len == 0 || object.data[0] != '{' || !json_walk_init(&w, object.data, object.len)) return false;
    if (!json_own_check_names(object.data, object.len, &offset, &why)) return false;
    answer->error = ITEM_TASK_ERROR;
    while (json_walk_next(&w, &name, &value)) {
        if (!json_string_is(name, "name")) continue;
        /* A worker cannot report ITEM_CANCELLED or any of the errors after it in the enum. Only the coordinator reports
         * these errors. */
        for (size_t i = 0; i < ITEM_CANCELLED; i++) {
            if (json_string_is(value, item_error_names[i])) answer->error = (enum item_error)i;
        }
    }
    answer->body = object.data;
    answer->body_len = object.len;
    return true;
}

static bool read_end(struct json_slice how, struct answer_line *answer)
{
    for (size_t i = 0; i < ARRAY_SIZE(chunk_end_names); i++) {
        if (!json_string_is(how, chunk_end_names[i])) continue;
        answer->end = (enum chunk_end)i;
        return true;
    }
    return false;
}

/* Reads a count in the form that our workers write: at most 18 digits. */
static bool read_done(struct json_slice number, uint64_t *done)
{
    *done = 0;
    for (size_t i = 0; i < number.len; i++) {
        if (number.data[i] < '0' || number.data[i] > '9' || number.len > 18) return false;
        *done = *done * 10 + (uint64_t)(number.data[i] - '0');
    }
    return number.len > 0;
}

/* Reads seconds in the form that our workers write: a decimal fraction below 1e9. */
static bool read_seconds(struct json_slice number, uint64_t *ns)
{
    char text[40];
    if (number.len == 0 || number.len >= sizeof text) return false;
    memcpy(text, number.data, number.len);
    text[number.len] = '\0';
    char *end;
    double seconds = strtod(text, &end);
    if (*end || !(seconds >= 0 && seconds < 1e9)) return false;
    *ns = (uint64_t)(seconds * 1e9 + 0.5);
    return true;
}

/* Reads a cost. If the cost is invalid, sets *cost to zero and returns false. */
static bool read_cost(struct json_slice object, struct chunk_cost *cost)
{
    struct json_walk w;
    struct json_slice name, value;
    bool ok = object.len > 0 && object.data[0] == '{' && json_walk_init(&w, object.data, object.len);
    while (ok && json_walk_next(&w, &name, &value)) {
        if (json_string_is(name, "items"))
            ok = read_done(value, &cost->items);
        else if (json_string_is(name, "slot_s"))
            ok = read_seconds(value, &cost->slot_ns);
        else if (json_string_is(name, "chunk_s"))
            ok = read_seconds(value, &cost->chunk_ns);
    }
    if (!ok) *cost = (struct chunk_cost){0};
    return ok;
}

struct frame {
    struct json_slice value, error, end, done, cost, starting;
    int kinds; /* number of members that determine the kind of the line */
};

static bool read_frame(const char *line, size_t len, struct frame *frame)
{
    size_t offset;
    const char *why;
    struct json_walk w;
    struct json_slice name, value;
    if (!json_valid(line, len, &offset, &why) || !json_walk_init(&w, line, len)) return false;
    if (!json_own_check_names(line, len, &offset, &why)) return false;
    while (json_walk_next(&w, &name, &value)) {
        if (name.len == 0) return false; /* the line is an array: its values have no names */
        if (json_string_is(name, "value")) {
            frame->value = value;
        } else if (json_string_is(name, "error")) {
            frame->error = value;
        } else if (json_string_is(name, "end")) {
            frame->end = value;
        } else {
            if (json_string_is(name, "done")) frame->done = value;
            if (json_string_is(name, "cost")) frame->cost = value;
            if (json_string_is(name, "starting")) frame->starting = value;
            continue;
        }
        frame->kinds++;
    }
    return frame->kinds == 1 || (frame->kinds == 0 && (frame->cost.data || frame->starting.data));
}

/* Accepts any valid form of the frame. This parser is slow, because it scans the whole line. */
static struct answer_line parse_slowly(const char *line, size_t len)
{
    struct answer_line answer = {.kind = ANSWER_BAD};
    struct frame frame = {0};
    if (!read_frame(line, len, &frame)) return answer;
    if (frame.value.data) {
        answer.kind = ANSWER_VALUE;
        answer.body = frame.value.data;
        answer.body_len = frame.value.len;
    } else if (frame.error.data) {
        if (read_error(frame.error, &answer)) answer.kind = ANSWER_ERROR;
    } else if (!frame.end.data && !frame.cost.data) {
        if (read_done(frame.starting, &answer.starting)) answer.kind = ANSWER_STARTING;
    } else if (!frame.end.data) {
        if (read_cost(frame.cost, &answer.cost)) answer.kind = ANSWER_COST;
    } else if (read_end(frame.end, &answer) && read_done(frame.done, &answer.done)) {
        answer.kind = ANSWER_END;
        if (frame.cost.data) (void)read_cost(frame.cost, &answer.cost);
    }
    return answer;
}

/* The answer of each chunk ends with a line {"end":...}. Our workers always write this line in the same form, so a fast
 * parser for this form is tried first. Each function below moves *at past the bytes that it reads. */

static bool eat(const char **at, const char *end, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) return false;
    *at += len;
    return true;
}

/* Reads between `least` and `most` digits. */
static bool eat_digits(const char **at, const char *end, size_t least, size_t most, uint64_t *number)
{
    const char *start = *at;
    *number = 0;
    while (*at < end && **at >= '0' && **at <= '9' && (size_t)(*at - start) < most)
        *number = *number * 10 + (uint64_t)(*(*at)++ - '0');
    return (size_t)(*at - start) >= least;
}

static bool eat_count(const char **at, const char *end, uint64_t *count)
{
    const char *start = *at;
    return eat_digits(at, end, 1, 18, count) && (*start != '0' || *at == start + 1);
}

/* There are at most six digits before the point. A double is precise enough for such numbers, so read_seconds() would
 * return the same result. */
static bool eat_seconds(const char **at, const char *end, uint64_t *ns)
{
    const char *start = *at;
    uint64_t whole, part;
    if (!eat_digits(at, end, 1, 6, &whole) || (*start == '0' && *at != start + 1)) return false;
    if (!eat(at, end, ".") || !eat_digits(at, end, 9, 9, &part)) return false;
    *ns = whole * NS_PER_S + part;
    return true;
}

static bool eat_cost(const char **at, const char *end, struct chunk_cost *cost)
{
    return eat_count(at, end, &cost->items) && eat(at, end, ",\"slot_s\":") && eat_seconds(at, end, &cost->slot_ns) &&
           (!eat(at, end, ",\"chunk_s\":") || eat_seconds(at, end, &cost->chunk_ns)) && eat(at, end, "}");
}

static bool parse_end(const char *line, size_t len, struct answer_line *answer)
{
    const char *at = line, *end = line + len;
    *answer = (struct answer_line){.kind = ANSWER_END};
    if (!eat(&at, end, "{\"end\":\"")) return false;
    size_t how = 0;
    while (how < CHUNK_END_COUNT && !eat(&at, end, chunk_end_names[how])) how++;
    if (how == CHUNK_END_COUNT) return false;
    answer->end = (enum chunk_end)how;
    return eat(&at, end, "\",\"done\":") && eat_count(&at, end, &answer->done) &&
           (!eat(&at, end, ",\"cost\":{\"items\":") || eat_cost(&at, end, &answer->cost)) && eat(&at, end, "}") &&
           at == end;
}

struct answer_line answer_line_parse(const char *line, size_t len, bool strict)
{
    static const char prefix[] = "{\"value\":";
    const size_t prefix_len = sizeof(prefix) - 1;
    struct answer_line answer;
    if (len < prefix_len + 2 || memcmp(line, prefix, prefix_len) != 0 || line[len - 1] != '}')
        return parse_end(line, len, &answer) ? answer : parse_slowly(line, len);

    const char *body = line + prefix_len, *end = line + len - 1;
    while (body < end && is_space(*body)) body++;
    while (body < end && is_space(end[-1])) end--;
    size_t body_len = (size_t)(end - body);
    if (body_len == 0 || (strict && json_value_length(body, body_len) != body_len)) return parse_slowly(line, len);
    return (struct answer_line){.kind = ANSWER_VALUE, .body = body, .body_len = body_len};
}
