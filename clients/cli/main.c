/* `fantail`, the command line: finds the subcommand and runs it. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/standard_output.h"
#include "cli/cli.h"
#include "cli/jobs/jobs.h"
#include "common/base/base.h"
#include "common/service/option.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"map", command_map, "run a task or any command on each item of the input"},
    {"local", command_local, "run a coordinator and workers on this machine"},
    {"submit", command_submit, "send the job in a JSON file and print the answer; or, with --detach, the job's id"},
    {"jobs", command_jobs, "list the durable jobs"},
    {"status", command_status, "show what is known about a durable job"},
    {"wait", command_wait, "wait until durable jobs have ended"},
    {"events", command_events, "follow the status and the progress of a durable job"},
    {"results", command_results, "print the results of a durable job, even while it runs"},
    {"change", command_change, "change the priority or the limits of durable jobs, even while they run"},
    {"cancel", command_cancel, "cancel durable jobs"},
    {"redrive", command_redrive, "run the failed items of a durable job again"},
    {"tasks", command_tasks, "list the tasks of the workers"},
};

static const char help_head[] =
    "fantail runs a task on many items in parallel. Every item gets an answer, even if processes or machines fail.\n"
    "\n"
    "usage: fantail COMMAND [argument...]\n"
    "\n"
    "commands:\n";

static const char help_tail[] =
    "\n"
    "examples:\n"
    "  seq 5 | fantail map -- expr 2 +                  any command, run once for each line\n"
    "  ls *.png | fantail map -- convert {} {}.jpg      {} is the item\n"
    "  fantail map -- gzip -k ::: *.log                 the items are the arguments after :::\n"
    "  seq 1000000 | fantail map square                 a task of ./tasks, in processes that are started once\n"
    "  fantail map ocr --url http://fantail:8080 < pages.ndjson > text.ndjson --errors failed.ndjson\n"
    "\n"
    "See also `fantail COMMAND --help`. FANTAIL_URL is the address of the fleet; without it, map starts a private "
    "one.\n"
    "Exit status: 0 all succeeded, 1 items failed, 2 wrong usage, 3 the job failed or was refused, or the service was\n"
    "unreachable, 4 the job has not ended.\n";

static void print_help(FILE *out)
{
    fputs(help_head, out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs(help_tail, out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static int complain_unknown(const char *word)
{
    const char *meant = NULL;
    unsigned distance = OPTION_DISTANCE_FAR;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (option_is_nearer(word, strlen(word), commands[i].name, &distance)) meant = commands[i].name;
    if (meant)
        complain("unknown command \"%s\"; did you mean `fantail %s`? Otherwise see fantail --help", word, meant);
    else
        complain("unknown command \"%s\"; see fantail --help", word);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
        printf("fantail %s\n", FANTAIL_VERSION);
        return EXIT_OK;
    }
    if (strcmp(word, "help") == 0 && argc > 2) {
        const struct command *command = find_command(argv[2]);
        char *help[] = {argv[2], (char[]){"--help"}, NULL};
        if (command) return command->run(2, help);
        if (argv[2][0] != '-' && strcmp(argv[2], "help") != 0) return complain_unknown(argv[2]);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    const struct command *command = find_command(word);
    if (command) return command->run(argc - 1, argv + 1);
    return complain_unknown(word);
}

int main(int argc, char **argv)
{
    standard_descriptors_open();
    return standard_output_end(run(argc, argv));
}
