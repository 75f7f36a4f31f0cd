/* `fantail completion` prints the completion for a shell. `fantail write-manual` writes the files of the manual. */
#include <errno.h>
#include <limits.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/make_folders.h"
#include "cli/cli.h"
#include "cli/commands.h"

struct no_config {
    char unused;
};

static const struct option_row rows[] = {OPTION_ROWS_END};

const struct option_spec completion_option_spec = {
    .program = "fantail completion",
    .usage = "bash|zsh|fish",
    .about = "Prints the completion of fantail's commands and options for a shell.",
    .epilogue =
        "`make install` installs the completions of all three shells. Without it, put one of these lines into the\n"
        "file that your shell reads when it starts:\n"
        "  source <(fantail completion bash)\n"
        "  source <(fantail completion zsh)       after compinit\n"
        "  fantail completion fish | source",
    .rows = rows,
    .operands = OPTION_OPERANDS_ANYWHERE,
};

int command_completion(int argc, char **argv)
{
    struct no_config config;
    struct option_result result;
    if (!option_parse(&completion_option_spec, &config, argc, argv, &result)) return result.exit_status;
    if (argc - result.first_operand != 1)
        return option_complain(&completion_option_spec, NULL, "give one shell: bash, zsh or fish");
    const char *shell = argv[result.first_operand];
    if (manual_write_completion(stdout, &commands_manual, shell)) return EXIT_OK;
    return option_complain(&completion_option_spec, NULL, "%s is not supported; choose bash, zsh or fish", shell);
}

/* ---- the files ---- */

struct file {
    FILE *out; /* NULL: it could not be opened */
    char path[PATH_MAX];
};

/* Opens DIR/FOLDER/NAME for writing, and makes the folder. */
static bool open_file(struct file *f, const char *dir, const char *folder, const char *name)
{
    int len = snprintf(f->path, sizeof f->path, "%s/%s", dir, folder);
    bool good = len < PATH_MAX - 1 && make_folders(f->path, 0777);
    if (good) good = snprintf(f->path + len, sizeof f->path - (size_t)len, "/%s", name) < PATH_MAX - len;
    f->out = good ? fopen(f->path, "we") : NULL;
    return f->out != NULL;
}

static bool close_file(struct file *f)
{
    bool good = f->out && !ferror(f->out);
    if (f->out) good = fclose(f->out) == 0 && good;
    if (!good) complain("cannot write %s: %s", f->path, strerror(errno));
    return good;
}

static bool write_pages(const char *dir)
{
    struct file f;
    if (open_file(&f, dir, "man/man1", "fantail.1")) manual_write_main_page(f.out, &commands_manual);
    bool good = close_file(&f);
    for (size_t i = 0; good && i < commands_manual.count; i++) {
        const struct manual_command *c = commands_manual.commands + i;
        char name[64];
        snprintf(name, sizeof name, "fantail-%s.1", c->name);
        if (open_file(&f, dir, "man/man1", name)) manual_write_page(f.out, &commands_manual, c);
        good = close_file(&f);
    }
    return good;
}

static bool write_completions(const char *dir)
{
    static const struct {
        const char *shell, *folder, *name;
    } files[] = {{"bash", "bash-completion/completions", "fantail"},
                 {"zsh", "zsh/site-functions", "_fantail"},
                 {"fish", "fish/vendor_completions.d", "fantail.fish"}};
    bool good = true;
    for (size_t i = 0; good && i < ARRAY_SIZE(files); i++) {
        struct file f;
        if (open_file(&f, dir, files[i].folder, files[i].name) &&
            !manual_write_completion(f.out, &commands_manual, files[i].shell))
            BUG("no completion for %s", files[i].shell);
        good = close_file(&f);
    }
    return good;
}

int command_write_manual(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        complain("usage: fantail write-manual DIR");
        return EXIT_USAGE;
    }
    return write_pages(argv[1]) && write_completions(argv[1]) ? EXIT_OK : EXIT_JOB_FAILED;
}
