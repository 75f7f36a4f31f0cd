/* `fantail map`: runs the items of the input; with --detach, gives them to a job store and ends. */
#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/standard_output.h"
#include "cli/cli.h"
#include "cli/http/query.h"
#include "cli/jobs/detach.h"
#include "cli/map/map.h"
#include "protocol/protocol.h"

static int detach(struct map_options *o)
{
    const struct detach_options options = {.labels = o->labels, .key = o->idempotency_key};
    static const struct option_spec spec = {.program = "fantail map"};
    struct buf path = {0};
    int status = detach_options_check(&spec, &options);
    if (status) return status;
    map_options_query(o, o->deadline_s, &path);
    if (o->tolerated_failure_count >= 0)
        query_add_number(&path, "tolerated_failure_count", (uint64_t)o->tolerated_failure_count);
    interrupt_init();
    const struct detach_body body = {
        .source = &o->source,
        .type = o->sends_text ? TYPE_TEXT : TYPE_NDJSON,
        .first_line = &o->common.first_line,
    };
    status = detach_items(&o->client, &options, &body, &path);
    buf_release(&path);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    return status;
}

int command_map(int argc, char **argv)
{
    static struct map_options options;
    static const struct map_manner manner = {0};
    int status;
    if (!map_options_read(&options, &manner, argc, argv, &status)) return status;
    if (!standard_output_is_open()) {
        map_options_release(&options);
        complain("standard output is closed, so the results would be lost. `> /dev/null` drops them");
        return EXIT_USAGE;
    }
    status = options.detach ? detach(&options) : map_items(&options);
    map_options_release(&options);
    return status;
}
