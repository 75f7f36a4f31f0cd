#include "cli/base/color.h"

#include <unistd.h>

/* Returns the value of the variable; "" if it is not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

bool color_is_on(void)
{
    const char *terminal = variable("TERM");
    return isatty(STDERR_FILENO) && !*variable("NO_COLOR") && *terminal && strcmp(terminal, "dumb") != 0;
}
