/* `fantail tasks`: lists the tasks of the workers. */
#include <poll.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/json_member.h"
#include "cli/cli.h"
#include "cli/fleet/private_fleet.h"
#include "cli/fleet/tasks_dir.h"
#include "cli/http/refusal.h"
#include "cli/http/simple_request.h"
#include "common/json/json_walk.h"
#include "protocol/protocol.h"
#include "protocol/shell_quote.h"

struct tasks_config {
    struct target_config client;
    const char *tasks; /* NULL: not given */
    bool json;
};

static const struct option_row rows[] = {
    OPTION_BOOL("json", struct tasks_config, json, NULL, "print the service's answer unchanged"),
    OPTION_PATH("tasks", struct tasks_config, tasks, NULL,
                "list the tasks in this folder, as `fantail map --tasks DIR` would run them", .value = "DIR",
                .no_env = true, .overrides = "url"),
    TARGET_OPTION_ROWS(struct tasks_config, client), OPTION_ROWS_END};

const struct option_spec tasks_option_spec = {
    .program = "fantail tasks",
    .usage = "[--url URL | --tasks DIR] [--json]",
    .about =
        "Lists the tasks of a coordinator's workers, or of a folder: name, mode, state, description. The lines below\n"
        "a task show its signature and an example, if its task.json has them. The state is one of:\n"
        "\n"
        "  ready          items can run. A process starts when the first item comes, and only then it can be noticed\n"
        "                 that a process cannot start\n"
        "  starting       processes of the task are starting\n"
        "  cannot start   processes of the task could not be started; the next line says why\n"
        "  broken         the description of the task has a fault; the next line says why\n"
        "  no worker      the task is known, but no worker with it can be reached now",
    .rows = rows,
    .operands = OPTION_OPERANDS_NONE,
};

/* The members of a task that are shown. */
enum column { NAME, MODE, DESCRIPTION, SIGNATURE, EXAMPLE, WORKERS, STARTING, CANNOT_START, ERROR, COLUMN_COUNT };
static const char *const columns[] = {"name",    "mode",     "description",  "signature", "example",
                                      "workers", "starting", "cannot_start", "error"};
static_assert(ARRAY_SIZE(columns) == COLUMN_COUNT, "a name for each column");

struct task_row {
    struct json_slice values[COLUMN_COUNT]; /* JSON; empty: the task does not have the member */
    struct buf text;
};

static void read_row(struct task_row *row, struct json_slice task)
{
    struct json_walk walk;
    struct json_slice name, value;
    if (task.len && task.data[0] == '"') row->values[NAME] = task; /* the list may have bare names */
    if (!task.len || task.data[0] != '{' || !json_walk_init(&walk, task.data, task.len)) return;
    while (json_walk_next(&walk, &name, &value))
        for (size_t i = 0; i < COLUMN_COUNT; i++)
            if (json_string_is(name, columns[i])) row->values[i] = value;
}

/* Returns a value as text on one line. It is valid until the next call. */
static const char *text_of(struct task_row *row, struct json_slice value)
{
    buf_clear(&row->text);
    if (value.len && value.data[0] == '"') {
        if (!json_string_decode(value, &row->text)) buf_clear(&row->text);
    } else {
        buf_add(&row->text, value.data, value.len);
    }
    for (size_t i = 0; i < row->text.len; i++)
        if ((unsigned char)row->text.data[i] < ' ') row->text.data[i] = ' ';
    return buf_cstr(&row->text);
}

/* Returns the reason why processes cannot be started: the member "error" of an object, or the value itself. */
static struct json_slice reason_of(struct json_slice value)
{
    struct json_walk walk;
    struct json_slice name, reason;
    if (!value.len || value.data[0] != '{' || !json_walk_init(&walk, value.data, value.len)) return value;
    while (json_walk_next(&walk, &name, &reason))
        if (json_string_is(name, "error")) return reason;
    return value;
}

static const char *state_of(const struct task_row *row)
{
    const struct json_slice *v = row->values;
    if (v[ERROR].len) return "broken";
    if (v[CANNOT_START].len) return "cannot start";
    if (v[WORKERS].len == 1 && v[WORKERS].data[0] == '0') return "no worker";
    return v[STARTING].len ? "starting" : "ready";
}

/* Prints the example as an argument for a shell. */
static void print_example(struct task_row *row)
{
    struct json_slice example = row->values[EXAMPLE];
    struct buf quoted = {0};
    shell_quote_add(&quoted, example.data, example.len);
    printf("    example: fantail map %s ::: %s\n", text_of(row, row->values[NAME]), buf_cstr(&quoted));
    buf_release(&quoted);
}

static void print_line(struct task_row *row, const char *title, struct json_slice value)
{
    if (value.len) printf("    %s: %s\n", title, text_of(row, value));
}

static void print_task(struct json_slice task)
{
    struct task_row row = {0};
    read_row(&row, task);
    printf("%-20s ", text_of(&row, row.values[NAME]));
    printf("%-8s ", text_of(&row, row.values[MODE]));
    printf("%-12s %s\n", state_of(&row), text_of(&row, row.values[DESCRIPTION]));
    print_line(&row, "broken", row.values[ERROR]);
    print_line(&row, "cannot start", reason_of(row.values[CANNOT_START]));
    print_line(&row, "signature", row.values[SIGNATURE]);
    if (row.values[EXAMPLE].len) print_example(&row);
    buf_release(&row.text);
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

/* Waits until every service of the fleet is ready. Returns an exit status. */
static int wait_for_fleet(struct fleet *f)
{
    while (!fleet_is_ready(f) && !interrupt_signal()) {
        struct pollfd fds[FLEET_MAX_POLL_FDS + 1] = {{.fd = interrupt_fd(), .events = POLLIN}};
        int timeout_ms = -1;
        size_t n = 1 + fleet_poll_fds(f, fds + 1, &timeout_ms);
        if (poll(fds, n, timeout_ms) < 0 || fds[0].revents) interrupt_clear();
        fleet_read_output(f);
        if (fleet_turn(f)) continue;
        complain("%s", fleet_error(f));
        return fleet_exit_status(f);
    }
    return interrupt_signal() ? EXIT_JOB_FAILED : EXIT_OK;
}

static int list_tasks(const struct target_config *client, bool json)
{
    struct target target = {0};
    struct connection c = {.fd = -1};
    int status = simple_request(&target, &c, client, "GET", PATH_TASKS, "Accept: " TYPE_JSON "\r\n");
    if (!status && c.status != 200) status = refusal_complain(&c);
    if (!status) status = print_answer(&c.answer, json);
    connection_release(&c);
    target_release(&target);
    return status;
}

/* Lists the tasks of a folder. A private fleet reads them, so the list shows what `fantail map` would run. */
static int list_folder(const struct tasks_config *config)
{
    struct private_fleet fleet = {.lines_fd = -1};
    const struct private_fleet_options options = {.tasks_dir = config->tasks, .workers = 1};
    char err[256];
    interrupt_init();
    int status = EXIT_JOB_FAILED;
    if (!private_fleet_start(&fleet, &options, err, sizeof err))
        complain("%s", err);
    else
        status = wait_for_fleet(fleet.fleet);
    if (!status) {
        const struct target_config own = {.url = fleet_url(fleet.fleet)};
        status = list_tasks(&own, config->json);
    }
    private_fleet_end(&fleet);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    return status;
}

int command_tasks(int argc, char **argv)
{
    struct tasks_config config = {0};
    struct option_result result;
    if (!option_parse(&tasks_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if (config.tasks && config.client.url)
        return option_complain(&tasks_option_spec, "tasks", "cannot be given together with --url");
    if (config.tasks && !tasks_dir_find(config.tasks))
        return option_complain(&tasks_option_spec, "tasks", "%s is not a directory", config.tasks);
    if (config.tasks) return list_folder(&config);
    int status = target_config_check(&tasks_option_spec, &config.client);
    return status ? status : list_tasks(&config.client, config.json);
}
