#include "hosts/runs/block_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"

enum {
    PIPES_BYTES = 32 * MIB, /* of all pipes together; if a user has 64 MiB in pipes, new pipes are small */
    PIPE_MAX_BYTES = 1 * MIB,
    PIPE_MIN_BYTES = 64 * KIB, /* of a new pipe */
    COPY_BYTES = 64 * KIB,
    STEP_ROOMS = 4, /* one step moves at most this many times the capacity of the pipe */
};
#define PAUSE_MIN_NS (50 * NS_PER_US)
#define PAUSE_MAX_NS (2 * NS_PER_MS)

static void feed_move(struct block_feed *f, enum block_feed_state to)
{
    static const char *const names[] = {"closed", "pausing", "waiting", "failed"};
    static_assert(ARRAY_SIZE(names) == FEED_STATE_COUNT, "a name for each state");
    bool ended = f->state == FEED_FAILED && to != FEED_CLOSED;
    if (ended) BUG("the input of a command: %s to %s", names[f->state], names[to]);
    f->state = to;
}

static void fail(struct block_feed *f, int error)
{
    f->error = error;
    feed_move(f, FEED_FAILED);
}

static int open_pipe(struct block_feed *f, unsigned pipes)
{
    int fds[2];
    size_t share = PIPES_BYTES / (pipes ? pipes : 1);
    if (pipe2(fds, O_CLOEXEC) != 0) return -1;
    if (share > PIPE_MAX_BYTES) share = PIPE_MAX_BYTES;
    if (share > PIPE_MIN_BYTES) fcntl(fds[1], F_SETPIPE_SZ, (int)share);
    int size = fcntl(fds[1], F_GETPIPE_SZ);
    f->room = size > 0 ? (size_t)size : PIPE_MIN_BYTES;
    f->to = fds[1];
    fcntl(f->to, F_SETFL, O_NONBLOCK);
    return fds[0];
}

/* Returns the descriptor of a file that is a whole block. If the file does not have the size of the block, the feed
 * fails, and the result is -1. */
static int check_whole(struct block_feed *f, const struct feed_block *b)
{
    struct stat st;
    int fd = f->from;
    f->from = -1;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == b->bytes) return fd;
    close(fd);
    fail(f, 0);
    return -1;
}

int block_feed_open(struct block_feed *f, const struct feed_block *b, unsigned pipes)
{
    *f = (struct block_feed){
        .from = -1,
        .to = -1,
        .at = b->header_at,
        .left = b->header_bytes,
        .next_at = b->offset,
        .next_left = b->bytes,
        .pause_ns = 2 * PAUSE_MIN_NS,
    };
    f->from = open(b->path, O_RDONLY | O_CLOEXEC);
    if (f->from >= 0 && b->whole) return check_whole(f, b);
    int fd = f->from >= 0 ? open_pipe(f, pipes) : -1;
    if (fd >= 0)
        feed_move(f, FEED_PAUSING);
    else
        fail(f, errno);
    return fd;
}

static void release(struct block_feed *f)
{
    if (f->from >= 0) close(f->from);
    if (f->to >= 0) close(f->to);
    f->from = f->to = -1;
}

void block_feed_close(struct block_feed *f)
{
    release(f);
    if (f->state != FEED_CLOSED) feed_move(f, FEED_CLOSED);
}

int block_feed_poll_fd(const struct block_feed *f)
{
    return f->state == FEED_WAITING ? f->to : -1;
}

/* Moves bytes without splice(), for a file system that does not support it. */
static ssize_t copy_some(struct block_feed *f)
{
    static char data[COPY_BYTES];
    ssize_t n = pread(f->from, data, f->left < COPY_BYTES ? (size_t)f->left : COPY_BYTES, (off_t)f->at);
    return n > 0 ? write(f->to, data, (size_t)n) : n;
}

static ssize_t move_some(struct block_feed *f)
{
    off_t at = (off_t)f->at;
    size_t most = f->left < f->room ? (size_t)f->left : f->room;
    ssize_t n = splice(f->from, &at, f->to, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return n < 0 && errno == EINVAL ? copy_some(f) : n;
}

/* Call it when the pipe is full and has taken `sum` bytes since the last pause. Adapts the length of the pauses, and
 * begins the next pause. If the pipe has taken no bytes, this pause begins only when the pipe has room. */
static void pause_feed(struct block_feed *f, size_t sum, uint64_t now)
{
    if (sum > f->room / 4 * 3 && f->pause_ns > PAUSE_MIN_NS) f->pause_ns /= 2;
    if (sum < f->room / 4 && f->pause_ns < PAUSE_MAX_NS) f->pause_ns *= 2;
    f->due_ns = now + f->pause_ns;
    feed_move(f, sum ? FEED_PAUSING : FEED_WAITING);
}

/* If all bytes of the current part were moved, begins the next part. The first part is the header, and the second part
 * is the block. */
static void begin_next(struct block_feed *f)
{
    if (f->left > 0) return;
    f->at = f->next_at;
    f->left = f->next_left;
    f->next_left = 0;
}

static void move_bytes(struct block_feed *f, uint64_t now)
{
    size_t sum = 0;
    ssize_t n = 1;
    begin_next(f);
    while (f->left > 0 && sum < STEP_ROOMS * f->room && (n = move_some(f)) > 0) {
        sum += (size_t)n;
        f->at += (uint64_t)n;
        f->left -= (uint64_t)n;
        begin_next(f);
    }
    if (f->left == 0 || (n < 0 && errno == EPIPE))
        block_feed_close(f);
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
        pause_feed(f, sum, now);
    else if (n <= 0)
        fail(f, n < 0 ? errno : 0);
}

bool block_feed_step(struct block_feed *f, bool has_room, uint64_t now)
{
    if (f->state == FEED_WAITING && has_room) {
        f->due_ns = now + f->pause_ns;
        feed_move(f, FEED_PAUSING);
    } else if (f->state == FEED_PAUSING && now >= f->due_ns) {
        move_bytes(f, now);
    }
    return f->state != FEED_FAILED;
}
