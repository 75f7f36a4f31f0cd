#include "cli/map/map_reduce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/map/map_internal.h"
#include "common/files/locked_dir.h"

/* Opens a temporary file without a name. The kernel removes the file when this program ends, even if it is killed. */
static int open_nameless(void)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/fantail-items-XXXXXX", temporary_base());
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

bool map_reduce_init(struct map_reduce *r, bool keep)
{
    *r = (struct map_reduce){0};
    if (!keep) return true;
    r->kept_fd = open_nameless();
    r->keeps = r->kept_fd >= 0;
    return r->keeps;
}

void map_reduce_release(struct map_reduce *r)
{
    if (r->kept.data) munmap(r->kept.data, r->kept.len);
    if (r->keeps) close(r->kept_fd);
    free(r->left_out);
    free(r->sent.data);
    *r = (struct map_reduce){0};
}

/* Keeps the lines for another attempt. Drops all kept lines when they would have more than MAP_JOB_BYTES. */
static void keep_for_another(struct map_reduce *r, const char *data, size_t len)
{
    struct batch *sent = &r->sent;
    r->sent_is_partial = r->sent_is_partial || sent->len + len > MAP_JOB_BYTES;
    if (r->sent_is_partial) {
        free(sent->data);
        *sent = (struct batch){0};
        return;
    }
    batch_reserve(sent, len);
    memcpy(sent->data + sent->len, data, len);
    sent->len += len;
    r->sent_again = sent->len;
}

static bool keep_lines(struct map_reduce *r, const char *data, size_t len)
{
    keep_for_another(r, data, len);
    while (r->keeps && len > 0) {
        ssize_t n = write(r->kept_fd, data, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void leave_out(struct map_run *run, struct map_job *j)
{
    struct map_reduce *r = &run->reduction;
    if (r->left_out_count == r->left_out_alloc) {
        r->left_out_alloc = r->left_out_alloc ? 2 * r->left_out_alloc : 64;
        r->left_out = xrealloc(r->left_out, r->left_out_alloc * sizeof(*r->left_out));
    }
    r->left_out[r->left_out_count++] = j->bad.index;
    r->index = j->bad.index + 1;
    r->offset = j->bad.offset + j->bad.len + 1;
    map_answers_add_bad_item(run, j);
}

/* Sends the next lines of the batch. If the next line is a bad item, leaves this line out. */
static void send_lines(struct map_run *run, struct map_job *j)
{
    struct map_reduce *r = &run->reduction;
    const char *lines = j->batch.data + r->offset;
    bool bad = batch_find_bad(&j->batch, run->input.form, r->index, r->offset, &j->bad);
    size_t end = bad ? j->bad.offset : j->batch.len;
    if (end == r->offset) {
        leave_out(run, j);
    } else if (keep_lines(r, lines, end - r->offset)) {
        connection_give_piece(&j->http, lines, end - r->offset);
        r->given = true;
        if (bad) r->index = j->bad.index;
        r->offset = end;
    } else {
        map_run_fail(run, "cannot keep the items for --errors in a temporary file: %s", strerror(errno));
    }
}

/* Resends the lines that an earlier attempt has sent. */
static void send_again(struct map_reduce *r, struct map_job *j)
{
    connection_give_piece(&j->http, r->sent.data + r->sent_again, r->sent.len - r->sent_again);
    r->sent_again = r->sent.len;
    r->given = true;
}

const char *map_reduce_obstacle(const struct map_run *run)
{
    const struct map_reduce *r = &run->reduction;
    if (r->printed) return "the result is already printed";
    if (run->failures.count > r->left_out_count) return "some items have already failed";
    return r->sent_is_partial ? "the input is larger than 8 MiB, so it was not kept" : NULL;
}

void map_reduce_restart(struct map_run *run, uint64_t now)
{
    run->reduction.sent_again = 0;
    run->reduction.given = false;
    map_job_start_upload(run, run->running[0], now);
}

static bool next_batch(struct map_run *run, struct map_job *j)
{
    struct map_reduce *r = &run->reduction;
    if (run->input.cut == 0) return false;
    input_cut(&run->input, &j->batch);
    r->offset = 0;
    r->index = r->next_index;
    r->next_index += batch_count(&j->batch, run->input.skip_blank);
    return true;
}

void map_reduce_feed(struct map_run *run, uint64_t now)
{
    if (!map_run_can_ask(run)) return;
    if (run->state == MAP_READY) map_job_start_upload(run, map_run_use_idle(run), now);
    struct map_job *j = run->running[0];
    while (run->count > 0 && run->state != MAP_STOPPED && connection_wants_piece(&j->http)) {
        if (run->reduction.sent_again < run->reduction.sent.len)
            send_again(&run->reduction, j);
        else if (run->reduction.offset < j->batch.len || next_batch(run, j))
            send_lines(run, j);
        else if (run->input.ended)
            connection_give_piece(&j->http, NULL, 0);
        else
            return;
        if (j->http.state == CONNECTION_SENDING) connection_step(&j->http);
    }
}

uint64_t map_reduce_index(const struct map_reduce *r, uint64_t index)
{
    size_t low = 0, high = r->left_out_count; /* a binary search works, because left_out[k] - k never decreases */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->left_out[middle] - middle <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return index + low;
}

struct json_slice map_reduce_item(struct map_run *run, uint64_t index)
{
    struct map_reduce *r = &run->reduction;
    off_t size = !r->keeps ? 0 : lseek(r->kept_fd, 0, SEEK_END);
    if (size <= 0) return (struct json_slice){0};
    if (!r->kept.data) {
        void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, r->kept_fd, 0);
        if (data == MAP_FAILED) return (struct json_slice){0};
        r->kept = (struct batch){.data = data, .len = (size_t)size};
    }
    return batch_item(&r->kept, run->input.skip_blank, index, &r->kept_index, &r->kept_offset);
}
