#include "cli/runs/record.h"

static void read_member(struct run_record *r, struct json_slice name, struct json_slice value)
{
    const struct {
        const char *name;
        struct json_slice *to;
    } slices[] = {{"worker", &r->worker}, {"command", &r->command}, {"output", &r->output}, {"error", &r->error}};
    for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
        if (json_string_is(name, slices[i].name)) *slices[i].to = value;
    for (size_t i = 0; i < RUN_RECORD_NUMBER_COUNT; i++)
        if (json_string_is(name, run_record_numbers[i])) r->numbers[i] = strtoll(value.data, NULL, 10);
    if (json_string_is(name, "halted")) r->halted = value.data[0] == 't';
}

bool run_record_read(struct json_slice value, struct run_record *r)
{
    struct json_walk walk;
    struct json_slice name, member;
    *r = (struct run_record){0};
    if (value.len == 0 || value.data[0] != '{' || !json_walk_init(&walk, value.data, value.len)) return false;
    if (!json_walk_next(&walk, &name, &member) || !json_string_is(name, "index")) return false;
    r->index = strtoull(member.data, NULL, 10);
    while (json_walk_next(&walk, &name, &member)) read_member(r, name, member);
    return r->halted || (r->command.len > 0 && (r->output.len > 0 || r->error.len > 0));
}

void run_record_of_error(struct run_record *r, uint64_t index, struct json_slice error)
{
    struct json_walk walk;
    struct json_slice name, value;
    bool has_exit = false;
    *r = (struct run_record){.index = index};
    if (!json_walk_init(&walk, error.data, error.len)) BUG("an error of an item is not an object");
    while (json_walk_next(&walk, &name, &value)) {
        int64_t number = strtoll(value.data, NULL, 10);
        bool known = value.data[0] >= '0' && value.data[0] <= '9';
        if (json_string_is(name, "worker")) r->worker = value;
        if (known && json_string_is(name, "attempts")) r->numbers[RUN_RECORD_ATTEMPT] = number;
        if (known && json_string_is(name, "signal")) r->numbers[RUN_RECORD_SIGNAL] = number;
        if (known && json_string_is(name, "exit_code")) r->numbers[RUN_RECORD_EXIT] = number;
        has_exit = has_exit || (known && number != 0 && json_string_is(name, "exit_code"));
    }
    /* As in GNU parallel, the exit code is 0 if a signal has killed the command. Without a signal, 0 would mean that
     * the item has succeeded, so an exit code that is not known is -1. */
    if (!has_exit && !r->numbers[RUN_RECORD_SIGNAL]) r->numbers[RUN_RECORD_EXIT] = -1;
}

void run_record_add_error(const struct run_record *r, struct buf *json)
{
    struct json_walk walk;
    struct json_slice name;
    bool has_signal = false, has_exit = false;
    buf_add(json, r->error.data, r->error.len - 1);
    if (!json_walk_init(&walk, r->error.data, r->error.len)) BUG("an error of a record is not an object");
    while (json_walk_next(&walk, &name, NULL)) {
        has_signal = has_signal || json_string_is(name, "signal");
        has_exit = has_exit || json_string_is(name, "exit_code");
    }
    if (!has_signal) buf_add_str(json, ",\"signal\":null");
    if (!has_exit) buf_add_str(json, ",\"exit_code\":null");
    buf_addf(json, ",\"attempts\":%lld,\"worker\":", (long long)r->numbers[RUN_RECORD_ATTEMPT]);
    buf_add(json, r->worker.data, r->worker.len);
    buf_add_char(json, '}');
}
