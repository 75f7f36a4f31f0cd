#include "cli/commands.h"

#include "cli/cli.h"
#include "cli/jobs/jobs.h"
#include "cli/options/map_options.h"
#include "cli/parallel/parallel_options.h"

static const struct manual_command commands[] = {
    {"map", "run a task or any command on each item of the input", &map_option_spec, command_map},
    {"parallel", "run a shell command for each line or value, with the options of GNU parallel", &parallel_option_spec,
     command_parallel},
    {"local", "run a coordinator and workers on this machine", &local_option_spec, command_local},
    {"submit", "send the job in a JSON file and print the answer; or, with --detach, the job's id", &submit_option_spec,
     command_submit},
    {"jobs", "list the durable jobs", &jobs_option_spec, command_jobs},
    {"status", "show what is known about a durable job", &status_option_spec, command_status},
    {"wait", "wait until durable jobs have ended", &wait_option_spec, command_wait},
    {"events", "follow the status and the progress of a durable job", &events_option_spec, command_events},
    {"results", "print the results of a durable job, even while it runs", &results_option_spec, command_results},
    {"change", "change the priority or the limits of durable jobs, even while they run", &change_option_spec,
     command_change},
    {"cancel", "cancel durable jobs", &cancel_option_spec, command_cancel},
    {"redrive", "rerun the failed and cancelled items of durable jobs", &redrive_option_spec, command_redrive},
    {"tasks", "list the tasks of the workers", &tasks_option_spec, command_tasks},
    {"completion", "print the completion for bash, zsh or fish", &completion_option_spec, command_completion},
};

static const struct option_row no_rows[] = {OPTION_ROWS_END};

static const struct option_spec spec = {
    .program = "fantail",
    .usage = "COMMAND [argument...]",
    .about = "fantail runs a task on many items in parallel. Every item gets an answer, even if processes or machines "
             "fail.",
    .epilogue =
        "Examples:\n"
        "  seq 5 | fantail map -- expr 2 +                  any command, run once for each line\n"
        "  ls *.png | fantail map -- convert {} {}.jpg      {} is the item\n"
        "  fantail map -- gzip -k ::: *.log                 the items are the arguments after :::\n"
        "  seq 1000000 | fantail map square                 a task of ./tasks, in processes that are started once\n"
        "  fantail map ocr --url http://fantail:8080 < pages.ndjson > text.ndjson --errors failed.ndjson\n"
        "\n"
        "See also `fantail COMMAND --help`. FANTAIL_URL is the address of the fleet; without it, map starts a private "
        "one.\n"
        "Exit status: 0 all succeeded, 1 items failed, 2 wrong usage, 3 the job failed or was refused, or the service "
        "was\n"
        "unreachable, 4 the job has not ended.",
    .rows = no_rows,
};

const struct manual commands_manual = {.spec = &spec, .commands = commands, .count = ARRAY_SIZE(commands)};

command_run *commands_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0) return commands[i].run;
    return strcmp(name, "write-manual") == 0 ? command_write_manual : NULL; /* not for users */
}
