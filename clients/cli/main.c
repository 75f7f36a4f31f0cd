/* The program `fantail`: finds the subcommand and runs it. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/standard_output.h"
#include "cli/commands.h"
#include "common/base/buf.h"
#include "common/observe/text_fold.h"
#include "common/service/option.h"

static void print_help(FILE *out)
{
    const struct manual *m = &commands_manual;
    struct buf text = {0}, folded = {0};
    buf_addf(&text, "%s\n\nusage: fantail %s\n\ncommands:\n", m->spec->about, m->spec->usage);
    for (size_t i = 0; i < m->count; i++) buf_addf(&text, "  %-10s %s\n", m->commands[i].name, m->commands[i].help);
    buf_addf(&text, "\n%s\n", m->spec->epilogue);
    text_fold_add(&folded, buf_cstr(&text), text_fold_width());
    fputs(buf_cstr(&folded), out);
    buf_release(&text);
    buf_release(&folded);
}

static int complain_unknown(const char *word)
{
    const char *meant = NULL;
    unsigned distance = OPTION_DISTANCE_FAR;
    for (size_t i = 0; i < commands_manual.count; i++) {
        const char *name = commands_manual.commands[i].name;
        if (option_is_nearer(word, strlen(word), name, &distance)) meant = name;
    }
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
        command_run *command = commands_find(argv[2]);
        char *help[] = {argv[2], (char[]){"--help"}, NULL};
        if (command) return command(2, help);
        if (argv[2][0] != '-' && strcmp(argv[2], "help") != 0) return complain_unknown(argv[2]);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    command_run *command = commands_find(word);
    if (command) return command(argc - 1, argv + 1);
    return complain_unknown(word);
}

int main(int argc, char **argv)
{
    standard_descriptors_open();
    return standard_output_end(run(argc, argv));
}
