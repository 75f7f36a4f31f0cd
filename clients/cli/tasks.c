#include "cli.h"

int command_tasks(int argc, char **argv)
{
    complain("tasks: not built yet");
    return EXIT_USAGE;
}
