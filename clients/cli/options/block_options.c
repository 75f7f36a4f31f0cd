#include "cli/options/block_options.h"

#include "cli/base/exit_status.h"

#define BLOCK_DEFAULT   "1M"
#define BLOCKS_EACH_MAX 1000000

bool block_options_given(const struct block_options *o)
{
    return o->pipe || o->pipepart;
}

const char *block_options_any(const struct block_options *o)
{
    return o->pipe       ? "pipe"
           : o->pipepart ? "pipepart"
           : o->block    ? "block"
           : o->recstart ? "recstart"
           : o->recend   ? "recend"
                         : NULL;
}

/* Checks --pipe and --pipepart against the other options. */
static int check_input(const struct block_options *o, const struct option_spec *spec, const struct block_context *c)
{
    const char *given = o->pipe ? "pipe" : "pipepart";
    if (o->pipe && o->pipepart) return option_complain(spec, "pipe", "cannot be given together with --pipepart");
    if (c->other) return option_complain(spec, given, "cannot be given together with --%s", c->other);
    if (o->pipe && c->reduce)
        return option_complain(spec, given, "cannot be given together with --reduce; use --pipepart -a FILE");
    if (o->pipepart && (c->records || c->group))
        return option_complain(spec, given,
                               "does not count records (-N, -L), because it does not read the file. Use --pipe");
    if (o->pipepart && c->files == 0 && !c->lists)
        return option_complain(spec, given, "needs the file: -a FILE. For standard input, use --pipe");
    return EXIT_OK;
}

static int set_plan(struct block_options *o, const struct option_spec *spec, const struct block_context *c)
{
    struct block_plan *p = &o->plan;
    p->slots = c->slots;
    p->part = o->pipepart;
    p->records = (uint64_t)c->records;
    p->group = c->group;
    if (c->head && !block_header_read(&p->header, c->head))
        return option_complain(spec, "header", "must be :, a number of lines, or .{N} for N bytes");
    bool good = option_read_bytes(o->block ? o->block : BLOCK_DEFAULT, &p->size);
    if (!good || p->size == 0 || p->size < -BLOCKS_EACH_MAX)
        return option_complain(spec, "block", "must be a number of bytes above 0, such as 10M, or -N with --pipepart");
    if (record_ends_init(&p->ends, o->recstart, o->recend)) return EXIT_OK;
    return option_complain(spec, o->recend ? "recend" : "recstart",
                           "may have at most %d bytes, and after a backslash only one of n r t 0 \\ \" '",
                           RECORD_ENDS_BYTES);
}

int block_options_check(struct block_options *o, const struct option_spec *spec, const struct block_context *c)
{
    const char *alone = block_options_any(o);
    if (!alone) return EXIT_OK;
    if (!block_options_given(o)) return option_complain(spec, alone, "has no effect without --pipe or --pipepart");
    int status = check_input(o, spec, c);
    return status ? status : set_plan(o, spec, c);
}
