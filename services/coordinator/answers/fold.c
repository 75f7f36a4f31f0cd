#include "coordinator/answers/fold.h"

#include "common/base/limits.h"
#include "protocol/protocol.h"

/* At most this many bytes of errors are kept in memory. */
enum { ERRORS_MEMORY_BYTES = 1024 * 1024 };

void fold_init(struct fold *f, enum job_reduce kind, const struct answer_source *from, struct spill_dir *dir)
{
    *f = (struct fold){.from = *from};
    reduction_init(&f->reduction, kind, LIMIT_ANSWER_BYTES);
    error_log_init(&f->errors, dir, ERRORS_MEMORY_BYTES);
}

void fold_release(struct fold *f)
{
    reduction_release(&f->reduction);
    error_log_release(&f->errors);
}

/* A line that stands for many items is always an error line. Only the scheduler makes such lines, when it settles
 * items. */
static bool fold_line(struct fold *f, uint64_t first, uint64_t n, const char *line, size_t len)
{
    struct answer_line parsed = answer_line_parse(line, len - 1, false);
    if (parsed.kind != ANSWER_VALUE) return error_log_add(&f->errors, first, n, line, len);
    for (uint64_t i = 0; i < n; i++) reduction_add(&f->reduction, first + i, parsed.body, parsed.body_len);
    return true;
}

static bool fold_run(struct fold *f, const struct answer_run *run)
{
    if (run->repeated) return fold_line(f, run->first, run->n, run->bytes, run->len);
    const char *at = run->bytes, *end = run->bytes + run->len;
    for (uint64_t i = 0; i < run->n; i++) {
        const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        if (!fold_line(f, run->first + i, 1, at, (size_t)(next - at))) return false;
        at = next;
    }
    return true;
}

enum fold_status fold_advance(struct fold *f, uint64_t max_bytes)
{
    struct answer_run run;
    bool failed = false, more = false;
    uint64_t folded = 0;
    while (!f->errors.log.file.error && (more = answer_source_peek(&f->from, &run, &failed)) && folded < max_bytes) {
        if (!fold_run(f, &run)) break;
        answer_source_consume(&f->from, run.n, run.len);
        folded += run.len;
    }
    if (f->errors.log.file.error) return FOLD_DISK_FAILED;
    if (failed) return FOLD_SOURCE_FAILED;
    if (more) return FOLD_MORE;
    return f->reduction.error[0] ? FOLD_NOT_REDUCIBLE : FOLD_OK;
}

void fold_explain(const struct fold *f, enum fold_status status, char *out, size_t out_size)
{
    switch (status) {
    case FOLD_OK:
    case FOLD_MORE: snprintf(out, out_size, "nothing is wrong"); break;
    case FOLD_NOT_REDUCIBLE: snprintf(out, out_size, "%s", f->reduction.error); break;
    case FOLD_SOURCE_FAILED: snprintf(out, out_size, "answers could not be read back from the disk"); break;
    case FOLD_DISK_FAILED:
        snprintf(out, out_size, "the errors could not be stored: %s", spill_file_why(&f->errors.log.file));
        break;
    }
}

bool fold_result(const struct fold *f, struct buf *out)
{
    return reduction_result(&f->reduction, out);
}

struct answer_source fold_source(struct fold *f)
{
    return error_log_source(&f->errors);
}
