#include "coordinator/answers/fold.h"

#include "common/base/limits.h"
#include "protocol/protocol.h"

/* At most this many bytes of errors are kept in memory. */
enum { ERRORS_MEMORY_BYTES = 1024 * 1024 };

static const char no_memory[] = "the coordinator has reached its memory limit, and the result needs more memory";

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

/* For the line of a value, at most this many bytes are charged to the budget. In addition, the reduction charges the
 * bytes that it reads. */
enum { LINE_COST_BYTES = 64 };

/* Folds one line, or a part of a long line. Returns whether the whole line was folded. A line that stands for many
 * items is always an error line. Only the scheduler makes lines that stand for many items, when it settles the
 * items. */
static bool fold_line(struct fold *f, const struct answer_run *line, size_t *budget)
{
    struct answer_line parsed = answer_line_parse(line->bytes, line->len - 1, false);
    size_t cost = parsed.kind == ANSWER_VALUE && line->len > LINE_COST_BYTES ? LINE_COST_BYTES : line->len;
    *budget -= cost < *budget ? cost : *budget;
    if (parsed.kind != ANSWER_VALUE) return error_log_add(&f->errors, line->first, line->n, line->bytes, line->len);
    return reduction_add(&f->reduction, line->first, parsed.body, parsed.body_len, budget);
}

/* Returns the first line of a run. If the run has only one line, the end of that line is not searched for, because the
 * line may be long. */
static struct answer_run first_line(const struct answer_run *run)
{
    if (run->repeated || run->n == 1) return *run;
    size_t len = (size_t)((const char *)memchr(run->bytes, '\n', run->len) + 1 - run->bytes);
    return (struct answer_run){.first = run->first, .n = 1, .bytes = run->bytes, .len = len};
}

/* Folds the lines of a run until the budget is used up, and consumes the folded lines. */
static void fold_run(struct fold *f, struct answer_run run, size_t *budget)
{
    size_t items = 0, bytes = 0;
    while (run.n > 0 && *budget > 0) {
        struct answer_run line = first_line(&run);
        if (!fold_line(f, &line, budget)) break;
        items += line.n;
        bytes += line.len;
        run.first += line.n;
        run.n -= line.n;
        run.bytes += line.len;
        run.len -= line.len;
    }
    if (items) answer_source_consume(&f->from, items, bytes);
}

enum fold_status fold_advance(struct fold *f, uint64_t max_bytes)
{
    struct answer_run run;
    bool failed = false, more = false;
    size_t budget = (size_t)max_bytes;
    while (!f->errors.log.file.error && !f->reduction.lacks_memory &&
           (more = answer_source_peek(&f->from, &run, &failed)) && budget > 0)
        fold_run(f, run, &budget);
    if (f->errors.log.file.error) return FOLD_DISK_FAILED;
    if (failed) return FOLD_SOURCE_FAILED;
    if (f->reduction.lacks_memory) {
        reduction_give_up(&f->reduction, no_memory);
        return FOLD_NO_MEMORY;
    }
    if (more) return FOLD_MORE;
    return f->reduction.error[0] ? FOLD_NOT_REDUCIBLE : FOLD_OK;
}

void fold_explain(const struct fold *f, enum fold_status status, char *out, size_t out_size)
{
    switch (status) {
    case FOLD_OK:
    case FOLD_MORE: snprintf(out, out_size, "nothing is wrong"); break;
    case FOLD_NO_MEMORY: snprintf(out, out_size, "%s", no_memory); break;
    case FOLD_NOT_REDUCIBLE: snprintf(out, out_size, "%s", f->reduction.error); break;
    case FOLD_SOURCE_FAILED: snprintf(out, out_size, "answers could not be read back from the disk"); break;
    case FOLD_DISK_FAILED:
        snprintf(out, out_size, "the errors could not be stored: %s", spill_file_why(&f->errors.log.file));
        break;
    }
}

struct json_slice fold_result(struct fold *f)
{
    return reduction_result(&f->reduction);
}

struct answer_source fold_source(struct fold *f)
{
    return error_log_source(&f->errors);
}
