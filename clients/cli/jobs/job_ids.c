#include "cli/jobs/job_ids.h"

#include "cli/base/complain.h"
#include "cli/base/exit_status.h"
#include "cli/jobs/id_prefix.h"
#include "cli/jobs/job_pages.h"

#define CANDIDATES_MAX 10 /* at most this many jobs are listed for one word */

/* A word and the jobs whose ids begin with it. */
struct search {
    const char *word;
    size_t found;
    struct buf candidates; /* a line for each of these jobs */
};

static void add_if_match(struct search *search, const struct remote_job *j, struct job_id *id)
{
    struct buf task = {0};
    if (!id_prefix_matches(search->word, j->id)) return;
    search->found++;
    snprintf(id->text, sizeof(id->text), "%s", j->id);
    if (search->found <= CANDIDATES_MAX) {
        if (!j->task.len || !json_string_decode(j->task, &task)) buf_clear(&task);
        buf_addf(&search->candidates, "\n  %s  %s  %s", j->id, remote_status_words[j->status], buf_cstr(&task));
    } else if (search->found == CANDIDATES_MAX + 1) {
        buf_add_str(&search->candidates, "\n  ...");
    }
    buf_release(&task);
}

/* Returns true if no later page can have a job of this search. */
static bool is_over(const struct search *search, const struct job_pages *p)
{
    if (id_prefix_is_whole(search->word) || search->found > CANDIDATES_MAX) return true;
    return p->count > p->synchronous && id_prefix_is_passed(search->word, p->jobs[p->count - 1].id);
}

static int read_list(struct job_service *s, struct search *searches, size_t count, struct job_id *ids, bool *has_store)
{
    struct job_pages pages = {.service = s};
    int status = EXIT_OK;
    bool over = false;
    while (!over && !pages.over && !(status = job_pages_next(&pages, JOB_PAGE_MAX))) {
        over = true;
        for (size_t i = 0; i < count; i++) {
            bool is_prefix = !id_prefix_is_whole(searches[i].word);
            for (size_t n = 0; is_prefix && n < pages.count; n++) add_if_match(&searches[i], &pages.jobs[n], &ids[i]);
            over = over && is_over(&searches[i], &pages);
        }
    }
    *has_store = pages.has_store;
    job_pages_release(&pages);
    return status;
}

static int check_search(const struct option_spec *spec, struct search *search, bool has_store)
{
    if (id_prefix_is_whole(search->word) || search->found == 1) return EXIT_OK;
    if (search->found > 1)
        return option_complain(spec, NULL, "several jobs have an id that begins with %s:%s", search->word,
                               buf_cstr(&search->candidates));
    if (has_store)
        complain("no job has an id that begins with %s", search->word);
    else
        complain(
            "the coordinator has no job store, and none of the jobs that it is running has an id that begins with %s",
            search->word);
    return EXIT_JOB_FAILED;
}

int job_ids_find(struct job_service *s, const struct option_spec *spec, char *const *words, size_t count,
                 struct job_id *ids)
{
    bool has_prefix = false;
    for (size_t i = 0; i < count; i++) {
        if (!id_prefix_is_valid(words[i]))
            return option_complain(spec, NULL, "\"%s\" is neither the id of a job nor the beginning of one", words[i]);
        has_prefix = has_prefix || !id_prefix_is_whole(words[i]);
        snprintf(ids[i].text, sizeof(ids[i].text), "%s", words[i]);
    }
    if (!has_prefix) return EXIT_OK;
    struct search *searches = xcalloc(count, sizeof(*searches));
    for (size_t i = 0; i < count; i++) searches[i].word = words[i];
    bool has_store;
    int status = read_list(s, searches, count, ids, &has_store);
    for (size_t i = 0; i < count && !status; i++) status = check_search(spec, &searches[i], has_store);
    for (size_t i = 0; i < count; i++) buf_release(&searches[i].candidates);
    free(searches);
    return status;
}
