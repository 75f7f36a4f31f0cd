#include "cli/ssh/ssh_command.h"

#define MAX_ARGUMENTS 64

/* The arguments of the script are the worker's folder, the path of fantail-worker, the folder of the tasks, and the
 * options of the worker. The trap keeps the shell alive until the worker has ended, so that the shell can remove the
 * folder. The user's login shell reads the quoted script first, and it may be any shell. The script has no newline,
 * because csh allows no newline between quotes. */
static const char script[] =
    "d=$1; w=$2; t=$3; shift 3; "
    "[ -x \"$w\" ] || w=$(command -v fantail-worker) || "
    "{ echo \"fantail-worker is neither in PATH nor at the path that it has on the coordinator's machine\" >&2; exit "
    "127; }; "
    "[ -d \"$t\" ] || { echo \"the folder of the tasks does not exist on this host: $t\" >&2; exit 2; }; "
    "unset FANTAIL_URL FANTAIL_TOKEN_FILE; trap : HUP INT TERM; "
    "(umask 077; mkdir \"$d\") || exit 1; "
    "\"$w\" --host \"unix:$d/worker\" --tasks \"$t\" \"$@\"; s=$?; rm -rf \"$d\"; exit $s";

/* The user's own configuration of ssh applies, except where it could defeat the options below. A shared connection
 * (ControlMaster) would not end with our process. A port that the user forwards to this host may be in use already,
 * which must not prevent the start. */
static const char *const fixed[] = {"-T",
                                    "-x",
                                    "-a",
                                    "-o",
                                    "BatchMode=yes",
                                    "-o",
                                    "ConnectTimeout=10",
                                    "-o",
                                    "ServerAliveInterval=2",
                                    "-o",
                                    "ServerAliveCountMax=3",
                                    "-o",
                                    "ControlMaster=no",
                                    "-o",
                                    "ControlPath=none",
                                    "-o",
                                    "RemoteCommand=none",
                                    "-o",
                                    "PermitLocalCommand=no",
                                    "-o",
                                    "ExitOnForwardFailure=no",
                                    "-o",
                                    "StreamLocalBindUnlink=yes",
                                    "-o",
                                    "StreamLocalBindMask=0177",
                                    "-o",
                                    "LogLevel=INFO",
                                    "-L"};

bool ssh_command_is_plain(const char *path)
{
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at > '~' || strchr("\\:%$~[]\"'", *at)) return false;
    return true;
}

static void add_quoted(struct buf *out, const char *text)
{
    buf_add_str(out, " '");
    for (const char *at = text; *at; at++) {
        if (*at == '\'')
            buf_add_str(out, "'\\''");
        else
            buf_add_char(out, *at);
    }
    buf_add_char(out, '\'');
}

static char *remote_command(const struct ssh_command *c)
{
    struct buf out = {0};
    char lease[16];
    snprintf(lease, sizeof lease, "%d", SSH_LEASE_S);
    const char *const own[] = {"fantail-ssh",   c->far,       c->program, c->tasks,          "--worker-id",
                               c->target->name, "--ready-fd", "1",        "--stdin-lease-s", lease};
    buf_add_str(&out, "exec sh -c");
    add_quoted(&out, script);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) add_quoted(&out, own[i]);
    for (char *const *option = c->options; *option; option++) add_quoted(&out, *option);
    buf_add_char(&out, '\0');
    return buf_detach(&out, NULL);
}

char **ssh_command_make(const struct ssh_command *c)
{
    char **argv = xcalloc(MAX_ARGUMENTS, sizeof *argv);
    size_t n = 0;
    argv[n++] = xstrdup("ssh");
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) argv[n++] = xstrdup(fixed[i]);
    if (asprintf(&argv[n++], "%s:%s/worker", c->near, c->far) < 0) BUG("out of memory for a path");
    if (c->target->port) {
        argv[n++] = xstrdup("-p");
        argv[n++] = xstrdup(c->target->port);
    }
    argv[n++] = xstrdup("--");
    argv[n++] = xstrdup(c->target->host);
    argv[n++] = remote_command(c);
    if (n >= MAX_ARGUMENTS) BUG("too many arguments for ssh");
    return argv;
}

void ssh_command_free(char **argv)
{
    for (char **at = argv; at && *at; at++) free(*at);
    free(argv);
}
