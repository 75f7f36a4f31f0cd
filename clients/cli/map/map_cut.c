#include "cli/base/complain.h"
#include "cli/http/refusal.h"
#include "cli/map/map_internal.h"
#include "protocol/protocol.h"

/* If a connection is still being made when the time of --reconnect-s is up, the run waits this much longer for it. */
#define CONNECT_NS (2 * NS_PER_S)

/* Returns whether the answer comes from a coordinator that has run no item of the job. The status alone does not show
 * that no item has run: a proxy may give the same status after it has sent the job to a coordinator. */
static bool ran_nothing(const struct connection *c)
{
    return connection_has_type(c, TYPE_PROBLEM) && !c->job_was_accepted;
}

static void give_up(struct map_run *run, const struct map_job *j, enum outage_cause cause)
{
    double limit_s = run->options->reconnect_s;
    const char *cut = cause == OUTAGE_CUT ? "the stream of results was cut: " : "";
    bool refused = j->http.status && j->http.status != 200;
    if (refused && (ran_nothing(&j->http) || !run->outage.accepted))
        map_job_fail_refused(run, j);
    else if (!run->outage.accepted || limit_s <= 0)
        map_run_fail(run, "%s%s", cut, run->lost_why);
    else if (cause == OUTAGE_CUT)
        map_run_fail(run, "the stream of results was cut again after each retry, without a new answer for %g s: %s",
                     limit_s, run->lost_why);
    else
        map_run_fail(run, "no coordinator has answered for %g s (--reconnect-s): %s", limit_s, run->lost_why);
}

/* Tells the user about the outage, but only once in each outage. */
static void report_outage(struct map_run *run)
{
    run->note = "waiting for a coordinator";
    if (run->outage.said || run->options->quiet) return;
    run->outage.said = true;
    output_flush(&run->output);
    if (run->outage.accepted)
        complain("%s; reconnecting for up to %g s", run->lost_why, run->options->reconnect_s);
    else
        complain("%s; trying again", run->lost_why);
}

/* With MAP_ORDER_COMPLETION, removes the answered items from the batch of the job. With MAP_ORDER_INPUT, nothing needs
 * to be removed: the unanswered items are those from j->answered on. */
static void keep_unanswered(struct map_run *run, struct map_job *j)
{
    if (run->options->order != MAP_ORDER_COMPLETION) return;
    size_t len = j->batch.len;
    j->count -= unanswered_keep_rest(&j->unanswered, &j->batch, run->input.skip_blank, j->base);
    run->bytes_in_jobs -= len - j->batch.len;
    j->answered = j->base = j->seek_index = 0;
    j->seek_offset = 0;
}

/* Returns whether the running attempt has items without an answer. */
static bool has_unanswered(struct map_run *run, struct map_job *j)
{
    if (run->options->order == MAP_ORDER_COMPLETION) return j->answered - j->base < j->unanswered.count;
    if (run->options->reduce) return true;
    return batch_seek(&j->batch, run->input.skip_blank, j->answered, &j->seek_index, &j->seek_offset) < j->end.offset;
}

/* Returns whether there are more answers than items. In completion order, a surplus answer has already stopped the run.
 */
static bool has_surplus(struct map_run *run, struct map_job *j)
{
    if (run->options->order == MAP_ORDER_COMPLETION || j->answered == j->base) return false;
    size_t last = batch_seek(&j->batch, run->input.skip_blank, j->answered - 1, &j->seek_index, &j->seek_offset);
    return last >= j->end.offset;
}

/* Returns true if the number of lines alone shows that the batch has as many items as answers. So the batch need not be
 * searched for items. */
static bool has_as_many_answers(const struct map_run *run, const struct map_job *j)
{
    bool lines_are_items = !(run->input.skip_blank && j->batch.indented), is_last = j->end.offset == j->batch.len;
    return run->options->order == MAP_ORDER_INPUT && lines_are_items && is_last && j->answered == j->batch.lines;
}

bool map_cut_check_whole(struct map_run *run, struct map_job *j)
{
    if (run->options->reduce || has_as_many_answers(run, j)) return true;
    bool lacks = has_unanswered(run, j);
    if (!lacks && !has_surplus(run, j)) return true;
    map_run_fail(run, lacks ? "the service ended the job, but it left out the answers to some items"
                            : "the service sent an answer to an item that the job does not have");
    return false;
}

static bool is_connecting(const struct map_run *run)
{
    if (run->care.http.state == CONNECTION_CONNECTING) return true;
    for (unsigned i = 0; i < run->count; i++)
        if (run->running[i]->http.state == CONNECTION_CONNECTING) return true;
    return false;
}

/* Decides whether the whole job is sent again or the run ends. */
static void decide_reduction(struct map_run *run, struct map_job *j, bool once)
{
    const char *obstacle = once ? "its items must not run twice" : map_reduce_obstacle(run);
    if (obstacle)
        map_run_fail(run, "the reduction was cut, and it cannot be sent again, because %s: %s", obstacle,
                     run->lost_why);
    else
        map_job_move(j, MAP_JOB_BACKOFF);
}

/* Handles the loss of an attempt. `may_have_run`: some items of the attempt may have been started. */
static void lost(struct map_run *run, struct map_job *j, enum outage_cause cause, bool may_have_run, uint64_t now)
{
    double retry_after_s = cause == OUTAGE_FULL ? j->http.retry_after_s : -1;
    if (j->answered > j->base) j->tries = (struct outage_tries){0};
    if (!outage_note_failure(&run->outage, cause, &j->tries, retry_after_s, now, &j->retry_ns)) {
        give_up(run, j, cause);
        return;
    }
    connection_close(&j->http);
    if (cause != OUTAGE_FULL) report_outage(run);
    if (cause == OUTAGE_UNREACHED && !is_connecting(run)) {
        /* The lookup may take a long time, and a signal during the lookup kills this program. So the results are
         * written before the lookup. */
        output_flush(&run->output);
        target_look_up_again(&run->target);
    }
    if (cause != OUTAGE_UNREACHED && may_have_run) care_note_loss(&run->care, now);
    bool doubt = may_have_run && run->care.twice != CARE_MAY_RUN_TWICE && has_unanswered(run, j);
    if (doubt || j->tail != MAP_TAIL_NONE) {
        map_job_move(j, MAP_JOB_IN_DOUBT);
        map_cut_decide(run, j, now);
        return;
    }
    if (run->options->reduce) {
        decide_reduction(run, j, false);
        return;
    }
    keep_unanswered(run, j);
    map_job_move(j, MAP_JOB_BACKOFF);
}

void map_cut_handle(struct map_run *run, struct map_job *j, uint64_t now)
{
    const struct connection *c = &j->http;
    bool accepted = c->status == 200, sent = c->sent > 0 || run->reduction.given;
    const char *why = j->tail == MAP_TAIL_DRAINED ? "the coordinator is shutting down" : "the end line is missing";
    snprintf(run->lost_why, sizeof(run->lost_why), "%s", c->error[0] ? c->error : why);
    lost(run, j, accepted ? OUTAGE_CUT : sent ? OUTAGE_LOST : OUTAGE_UNREACHED, sent, now);
}

void map_cut_handle_stranger(struct map_run *run, struct map_job *j, uint64_t now)
{
    snprintf(run->lost_why, sizeof(run->lost_why),
             "the answer of %s is not a stream of results of a fantail coordinator", run->target.url);
    if (run->outage.accepted)
        lost(run, j, OUTAGE_LOST, true, now);
    else
        map_run_fail(run, "%s; check --url", run->lost_why);
}

bool map_cut_handle_refusal(struct map_run *run, struct map_job *j, uint64_t now)
{
    const struct connection *c = &j->http;
    bool full = c->status == 429 || c->status == 503, lost_by_proxy = c->status == 502 || c->status == 504;
    const char *proxy = refusal_of_proxy(c);
    if (!full && !lost_by_proxy) return false;
    snprintf(run->lost_why, sizeof(run->lost_why), "%s answered with status %d%s%s", run->target.url, c->status,
             proxy ? ": " : "", proxy ? proxy : "");
    lost(run, j, full ? OUTAGE_FULL : OUTAGE_LOST, !ran_nothing(c), now);
    return true;
}

/* Fails the unanswered items of the attempt. */
static void fail_unanswered(struct map_run *run, struct map_job *j)
{
    if (run->options->order == MAP_ORDER_COMPLETION) {
        for (uint64_t i = 0; i < j->unanswered.count && run->state != MAP_STOPPED; i++)
            if (unanswered_note(&j->unanswered, i)) map_answers_add_lost_item(run, j, j->base + i);
        return;
    }
    while (run->state != MAP_STOPPED && has_unanswered(run, j)) map_answers_add_lost_item(run, j, j->answered);
}

void map_cut_decide(struct map_run *run, struct map_job *j, uint64_t now)
{
    if (run->care.twice == CARE_UNKNOWN) return;
    bool once = run->care.twice == CARE_RUNS_ONCE;
    if (run->options->reduce) {
        decide_reduction(run, j, once);
        return;
    }
    if (j->tail == MAP_TAIL_HELD || j->tail == MAP_TAIL_DRAINED) map_drain_settle(run, j, once);
    if (once && j->tail != MAP_TAIL_DRAINED) fail_unanswered(run, j);
    if (run->state == MAP_STOPPED) return;
    if (!has_unanswered(run, j) && !map_job_has_more(run, j)) {
        map_job_move(j, j->ends_at_bad ? MAP_JOB_AT_BAD : MAP_JOB_ENDED);
        return;
    }
    keep_unanswered(run, j);
    if (j->retry_ns < now) j->retry_ns = now;
    map_job_move(j, MAP_JOB_BACKOFF);
}

/* Returns when to tell the user that nothing has arrived from the URL, not even the list of tasks. UINT64_MAX: never.
 */
static uint64_t quiet_ns(const struct map_run *run)
{
    const struct care *care = &run->care;
    bool waits = care->state == CARE_ASKING && !run->outage.accepted && !care->failures;
    if (!waits || run->quiet_is_said || run->options->quiet) return UINT64_MAX;
    return care->asked_ns + CONNECTION_QUIET_S * NS_PER_S;
}

static void tell_quiet(struct map_run *run)
{
    run->quiet_is_said = true;
    connection_say_quiet(run->target.url);
}

/* Returns when the run gives up. UINT64_MAX: never. */
static uint64_t give_up_ns(const struct map_run *run)
{
    const struct care *care = &run->care;
    uint64_t end = UINT64_MAX;
    if (care->gate_closed)
        end = care->closed_ns + outage_patience_ns(&run->outage);
    else if (run->outage.away_ns && is_connecting(run))
        end = run->outage.away_ns + run->outage.limit_ns + CONNECT_NS;
    bool away = care->gate_closed || run->outage.away_ns;
    return run->deadline_ns && away && run->deadline_ns < end ? run->deadline_ns : end;
}

uint64_t map_cut_due_ns(const struct map_run *run)
{
    uint64_t end = give_up_ns(run), quiet = quiet_ns(run);
    return quiet < end ? quiet : end;
}

void map_cut_check_time(struct map_run *run, uint64_t now)
{
    if (now >= quiet_ns(run)) tell_quiet(run);
    if (now < give_up_ns(run)) return;
    if (run->deadline_ns && now >= run->deadline_ns)
        map_run_fail(run, "--deadline-s has passed while no coordinator could be reached: %s", run->lost_why);
    else if (!run->outage.accepted)
        map_run_fail(run, "%s; check --url", run->lost_why);
    else
        map_run_fail(run, "no coordinator has answered for %g s (--reconnect-s): %s", run->options->reconnect_s,
                     run->lost_why);
}
