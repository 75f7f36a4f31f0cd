/* `fantail tasks`: lists the tasks of the workers. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/json_member.h"
#include "cli/cli.h"
#include "cli/http/refusal.h"
#include "cli/http/simple_request.h"
#include "common/json/json_walk.h"
#include "protocol/protocol.h"

struct tasks_config {
    struct target_config client;
    bool json;
};

static const struct option_row rows[] = {
    OPTION_BOOL("json", struct tasks_config, json, NULL, "print the service's answer unchanged"),
    TARGET_OPTION_ROWS(struct tasks_config, client), OPTION_ROWS_END};

const struct option_spec tasks_option_spec = {
    .program = "fantail tasks",
    .usage = "[--url URL] [--json]",
    .about = "Lists the tasks of a coordinator's workers, one per line: name, mode, description.",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

static void print_task(struct json_slice task)
{
    static const char *const columns[] = {"name", "mode", "description", "error"};
    struct buf text[ARRAY_SIZE(columns)] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (!json_member_read(task.data, task.len, columns[i], &text[i])) buf_clear(&text[i]);
    if (task.len && task.data[0] == '"' && json_string_decode(task, &text[0])) buf_clear(&text[1]);
    printf("%-20s %-8s %s%s%s\n", buf_cstr(&text[0]), buf_cstr(&text[1]), text[3].len ? "broken: " : "",
           text[3].len ? buf_cstr(&text[3]) : "", text[3].len ? "" : buf_cstr(&text[2]));
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) buf_release(&text[i]);
}

/* Finds the list in the answer {"tasks":[{"name":...},...]}. */
static bool find_list(const struct buf *answer, struct json_walk *list)
{
    struct json_walk members;
    struct json_slice name, value;
    if (!answer->len || !json_walk_init_checked(&members, answer->data, answer->len)) return false;
    while (json_walk_next(&members, &name, &value))
        if (json_string_is(name, "tasks")) return value.data[0] == '[' && json_walk_init(list, value.data, value.len);
    return false;
}

static int print_answer(const struct buf *answer, bool json)
{
    struct json_walk list;
    struct json_slice task;
    if (!find_list(answer, &list)) {
        complain("the answer is not a list of tasks of a fantail coordinator; check --url");
        return EXIT_JOB_FAILED;
    }
    if (json) printf("%.*s\n", (int)answer->len, answer->data);
    while (!json && json_walk_next(&list, NULL, &task)) print_task(task);
    return EXIT_OK;
}

int command_tasks(int argc, char **argv)
{
    struct tasks_config config = {0};
    struct option_result result;
    struct target target = {0};
    struct connection c = {.fd = -1};
    if (!option_parse(&tasks_option_spec, &config, argc, argv, &result)) return result.exit_status;
    int status = target_config_check(&tasks_option_spec, &config.client);
    if (status) return status;
    status = simple_request(&target, &c, &config.client, "GET", PATH_TASKS, "Accept: " TYPE_JSON "\r\n");
    if (!status && c.status != 200) status = refusal_complain(&c);
    if (!status) status = print_answer(&c.answer, config.json);
    connection_release(&c);
    target_release(&target);
    return status;
}
