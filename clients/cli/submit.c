#include "cli.h"

int command_submit(int argc, char **argv)
{
    complain("submit: not built yet");
    return EXIT_USAGE;
}
