#include "cli/jobs/each_job.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/base/interrupt.h"
#include "cli/base/standard_output.h"
#include "cli/jobs/job_ids.h"

static int run_all(struct job_service *s, const struct each_job *e)
{
    size_t count = 0;
    while (e->words[count]) count++;
    struct job_id *ids = xcalloc(count, sizeof(*ids));
    int status = job_ids_find(s, e->spec, e->words, count, ids);
    bool found = status == EXIT_OK;
    for (size_t i = 0; i < count && found && !interrupt_signal(); i++)
        status = remote_job_worse_exit(status, e->handle(s, ids[i].text, e->data));
    free(ids);
    return status;
}

int each_job_run(const struct each_job *e)
{
    struct job_service service;
    if (!e->words[0]) return option_complain(e->spec, NULL, "the id of a job is missing; `fantail jobs` lists the ids");
    interrupt_init();
    int status = job_service_init(&service, e->spec, e->client, e->reconnect_s);
    if (!status) status = run_all(&service, e);
    job_service_release(&service);
    if (interrupt_signal()) interrupt_die_of(interrupt_signal());
    return standard_output_end(status);
}

void job_print_json(const struct remote_job *j)
{
    fwrite(j->text.data, 1, j->text.len, stdout);
    putchar('\n');
    standard_output_flush();
}

void job_print_line(const char *id, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("%s  ", id);
    vprintf(fmt, args);
    putchar('\n');
    standard_output_flush();
    va_end(args);
}

void job_print_progress(const struct remote_job *j)
{
    char cancelled[40] = "";
    const char *waits = j->waiting.len ? remote_waiting_words(j->waiting.data, j->waiting.len) : NULL;
    if (j->cancelled) snprintf(cancelled, sizeof(cancelled), ", %llu cancelled", (unsigned long long)j->cancelled);
    job_print_line(j->id, "%s  %llu/%llu, %llu failed%s%s%s", remote_status_words[j->status],
                   (unsigned long long)remote_job_done(j), (unsigned long long)j->total, (unsigned long long)j->failed,
                   cancelled, waits ? ", waits: " : "", waits ? waits : "");
}

void job_print(const struct remote_job *j, bool json)
{
    if (json)
        job_print_json(j);
    else
        job_print_progress(j);
}
