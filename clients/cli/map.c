#include "cli.h"

int command_map(int argc, char **argv)
{
    complain("map: not built yet");
    return EXIT_USAGE;
}
