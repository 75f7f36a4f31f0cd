#include "worker/process/fault.h"

#include <stdarg.h>
#include <sys/wait.h>

#include "common/base/limits.h"
#include "common/json/json_tail.h"

#define QUOTED_BYTES  100
#define COMMAND_BYTES 250
#define FOLDER_BYTES  400

void fault_set(struct fault *f, enum item_error name, const char *fmt, ...)
{
    *f = (struct fault){.name = name, .exit_code = -1};
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->cause, sizeof f->cause, fmt, args);
    va_end(args);
    f->own = strlen(f->cause);
}

void fault_quote(struct fault *f, const char *line, size_t len)
{
    size_t n = len < QUOTED_BYTES ? len : QUOTED_BYTES;
    snprintf(f->cause + f->own, sizeof f->cause - f->own, ": %.*s", (int)n, line);
}

void fault_name_command(struct fault *f, const char *const *command, const char *folder)
{
    char words[COMMAND_BYTES] = "", cause[sizeof f->cause];
    for (size_t len = 0; *command && len < sizeof words; command++)
        len += (size_t)snprintf(words + len, sizeof words - len, " %s", *command);
    memcpy(cause, f->cause, sizeof cause);
    int len =
        snprintf(f->cause, sizeof f->cause, "the command%s in the folder %.*s: %s", words, FOLDER_BYTES, folder, cause);
    f->own = (size_t)len < sizeof f->cause ? (size_t)len : sizeof f->cause - 1;
}

void fault_from_exit(struct fault *f, int status, bool answered)
{
    const char *when = answered ? "" : " before it answered any item";
    if (WIFSIGNALED(status)) {
        fault_set(f, ITEM_CRASHED, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        f->signal = WTERMSIG(status);
        return;
    }
    fault_set(f, ITEM_CRASHED, "exited with code %d%s", WEXITSTATUS(status), when);
    f->exit_code = WEXITSTATUS(status);
}

static void add_number_or_null(struct buf *b, const char *member, int64_t value, bool present)
{
    buf_addf(b, ",\"%s\":", member);
    if (present)
        buf_add_i64(b, value);
    else
        buf_add_str(b, "null");
}

bool fault_says_out_of_memory(const char *stderr_tail, size_t len)
{
    static const char *const words[] = {"MemoryError", "bad_alloc", "out of memory", "Cannot allocate memory"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (memmem(stderr_tail, len, words[i], strlen(words[i]))) return true;
    return false;
}

void fault_add_line(struct buf *b, const struct fault *f, const struct byte_tail *tail, const char *worker_id)
{
    size_t len = 0;
    const char *text = tail ? byte_tail_get(tail, &len) : "";
    buf_addf(b, "{\"error\":{\"name\":\"%s\",\"cause\":", item_error_name(f->name));
    buf_add_json_string(b, f->cause, strlen(f->cause));
    add_number_or_null(b, "signal", f->signal, f->signal != 0);
    add_number_or_null(b, "exit_code", f->exit_code, f->exit_code >= 0);
    buf_add_str(b, ",\"stderr\":");
    size_t kept = json_tail_add(b, text, len, LIMIT_ERROR_TEXT_BYTES);
    if (tail && kept < tail->total) buf_addf(b, ",\"cut\":{\"stderr\":%llu}", (unsigned long long)tail->total);
    buf_add_str(b, ",\"attempts\":1,\"worker\":");
    buf_add_json_string(b, worker_id, strlen(worker_id));
    buf_add_str(b, "}}\n");
}
