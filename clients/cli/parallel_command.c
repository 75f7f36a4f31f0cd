/* `fantail parallel`: reads the command line of GNU parallel, and runs it as `fantail map` would. */
#include <sys/stat.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/parent_shell.h"
#include "cli/base/standard_output.h"
#include "cli/cli.h"
#include "cli/map/map.h"
#include "cli/parallel/translation.h"

/* Returns the shell that GNU parallel would use: $PARALLEL_SHELL, or else the shell that has started this program.
 * NULL: neither is known, so $SHELL is used. */
static char *find_shell(void)
{
    const char *given = getenv("PARALLEL_SHELL");
    return given && *given ? xstrdup(given) : parent_shell_find();
}

static int run(struct translation *t)
{
    static struct map_options options;
    int status;
    if (!map_options_read(&options, &t->manner, t->argc, t->argv, &status)) return status;
    status = map_items(&options);
    map_options_release(&options);
    return status;
}

static int check(const struct parallel_options *o)
{
    struct stat st;
    if (o->work_folder && (stat(o->work_folder, &st) != 0 || !S_ISDIR(st.st_mode)))
        return option_complain(&parallel_option_spec, "workdir", "%s is not a folder", o->work_folder);
    if (standard_output_is_open()) return EXIT_OK;
    complain("standard output is closed, so the results would be lost. `> /dev/null` drops them");
    return EXIT_USAGE;
}

int command_parallel(int argc, char **argv)
{
    static struct parallel_options options;
    struct option_result result;
    struct translation t;
    if (!option_parse(&parallel_option_spec, &options, argc, argv, &result)) return result.exit_status;
    if (options.citation) return EXIT_OK;
    int status = check(&options);
    if (status) return status;
    char *shell = find_shell();
    if (translation_make(&t, &options, argv + result.first_operand)) {
        t.manner.shell = shell;
        status = run(&t);
    } else {
        status = option_complain(&parallel_option_spec, NULL, "%s", t.why);
    }
    translation_release(&t);
    free(shell);
    return status;
}
