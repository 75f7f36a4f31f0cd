#include "cli/blocks/block_stream.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define READ_BYTES (1u << 20)
#define PAGE_BYTES 4096u

void block_stream_init(struct block_stream *s)
{
    s->places = xcalloc(s->places_max, sizeof *s->places);
}

static void place_move(struct block_place *p, enum block_place_state to)
{
    static const char *const names[] = {"free", "filling", "full"};
    static_assert(ARRAY_SIZE(names) == PLACE_STATE_COUNT, "a name for each state");
    if (to != (p->state + 1) % PLACE_STATE_COUNT) BUG("the place of a block: %s to %s", names[p->state], names[to]);
    p->state = to;
}

static void release_place(struct block_place *p)
{
    if (p->data) munmap(p->data, p->room);
    if (p->fd >= 0) close(p->fd);
}

void block_stream_release(struct block_stream *s)
{
    for (unsigned i = 0; i < s->count; i++) release_place(&s->places[i]);
    free(s->places);
    buf_release(&s->rest);
    buf_release(&s->header);
}

static bool fail(struct block_stream *s, const char *what)
{
    snprintf(s->fault, sizeof s->fault, "cannot %s: %s", what, strerror(errno));
    return false;
}

/* Makes the file and its mapping at least `size` bytes long. */
static bool grow(struct block_stream *s, struct block_place *p, size_t size)
{
    void *at = p->data;
    size = (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (size < p->room) size = p->room;
    if (ftruncate(p->fd, (off_t)size) != 0) return fail(s, "make room for a block");
    if (size > p->room && p->data) at = mremap(p->data, p->room, size, MREMAP_MAYMOVE);
    if (!p->data) at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (at == MAP_FAILED) return fail(s, "make room for a block");
    p->data = at;
    p->room = size;
    return true;
}

static struct block_place *find_free(struct block_stream *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->places[i].state == PLACE_FREE) return &s->places[i];
    if (s->count == s->places_max) return NULL;
    struct block_place *p = &s->places[s->count];
    *p = (struct block_place){.fd = memfd_create("block", MFD_CLOEXEC)};
    if (p->fd < 0) {
        fail(s, "make a file for a block");
        return NULL;
    }
    s->count++;
    return p;
}

/* Begins a block with the bytes that were read after the end of the last block. Returns false if no place is free, or
 * after a fault. */
static bool begin(struct block_stream *s)
{
    struct block_place *p = find_free(s);
    size_t wants = block_cut_wants(&s->cut, 0);
    if (!p || !grow(s, p, s->header.len + (wants > s->rest.len ? wants : s->rest.len))) return false;
    place_move(p, PLACE_FILLING);
    p->len = s->header.len + s->rest.len;
    p->offset = s->offset;
    if (s->header.len) memcpy(p->data, s->header.data, s->header.len);
    if (s->rest.len) memcpy(p->data + s->header.len, s->rest.data, s->rest.len);
    buf_clear(&s->rest);
    s->filling = p;
    return true;
}

/* Reads more bytes of the block. Returns false if there are none now, or after a fault. */
static bool fill(struct block_stream *s)
{
    struct block_place *p = s->filling;
    size_t wants = s->header.len + block_cut_wants(&s->cut, p->len - s->header.len);
    size_t most = wants - p->len < READ_BYTES ? wants - p->len : READ_BYTES;
    if (p->len >= BLOCK_RECORD_BYTES) {
        snprintf(s->fault, sizeof s->fault, "the record at byte %llu of the input has more than %u MiB",
                 (unsigned long long)p->offset, BLOCK_RECORD_BYTES >> 20);
        return false;
    }
    if (wants > p->room && !grow(s, p, wants)) return false;
    ssize_t n = read(s->fd, p->data + p->len, most);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (n < 0) return fail(s, "read the input");
    p->len += (size_t)n;
    s->ended = n == 0;
    return true;
}

/* Ends the block after `len` bytes. The bytes after them begin the next block. */
static void end_block(struct block_stream *s, size_t len, struct input_block *b)
{
    struct block_place *p = s->filling;
    s->offset += len - s->header.len;
    buf_add(&s->rest, p->data + len, p->len - len);
    if (ftruncate(p->fd, (off_t)len) != 0) BUG("cannot make a file in memory shorter: %s", strerror(errno));
    *b = (struct input_block){.offset = p->offset, .bytes = len, .fd = p->fd};
    place_move(p, PLACE_FULL);
    s->filling = NULL;
}

/* Finds the header at the beginning of the stream. Returns false if more bytes are needed, or after a fault. */
static bool find_header(struct block_stream *s)
{
    struct block_place *p = s->filling;
    if (!block_header_given(&s->head) || s->header.len) return true;
    size_t len = block_header_find(&s->head, p->data, p->len);
    if ((len ? len : p->len) > BLOCK_HEADER_BYTES)
        snprintf(s->fault, sizeof s->fault, "the header has more than 1 MiB");
    if (s->fault[0] || (!len && !s->ended)) return false;
    if (!len) len = p->len;
    buf_add(&s->header, p->data, len);
    s->offset = p->offset = len;
    return true;
}

/* Returns the length of the block that is being filled; 0: it is not whole yet. */
static size_t find_block(struct block_stream *s)
{
    const struct block_place *p = s->filling;
    if (!find_header(s)) return 0;
    size_t len = block_cut_find(&s->cut, p->data + s->header.len, p->len - s->header.len, s->ended);
    return len ? s->header.len + len : 0;
}

enum block_step block_stream_next(struct block_stream *s, struct input_block *b)
{
    if (s->fault[0]) return BLOCK_END;
    if (s->ended && !s->filling && !s->rest.len) return BLOCK_END;
    if (!s->filling && !begin(s)) return s->fault[0] ? BLOCK_END : BLOCK_MORE;
    if (s->needs_bytes && !fill(s)) return s->fault[0] ? BLOCK_END : BLOCK_MORE;
    size_t len = find_block(s);
    s->needs_bytes = !len && !s->ended;
    if (!len) return s->ended || s->fault[0] ? BLOCK_END : BLOCK_MORE;
    end_block(s, len, b);
    return BLOCK_CUT;
}

bool block_stream_has_place(const struct block_stream *s)
{
    if (s->filling || s->count < s->places_max) return true;
    for (unsigned i = 0; i < s->count; i++)
        if (s->places[i].state == PLACE_FREE) return true;
    return false;
}

/* If a long record has made the file longer than the files of other blocks, frees the memory of the file. */
static void shrink(const struct block_stream *s, struct block_place *p)
{
    if (p->room <= 2 * block_cut_wants(&s->cut, 0) + PAGE_BYTES) return;
    munmap(p->data, p->room);
    p->data = NULL;
    p->room = 0;
    if (ftruncate(p->fd, 0) != 0) BUG("cannot make a file in memory shorter: %s", strerror(errno));
}

void block_stream_free(struct block_stream *s, uint64_t offset)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct block_place *p = &s->places[i];
        if (p->state != PLACE_FULL || p->offset != offset) continue;
        place_move(p, PLACE_FREE);
        shrink(s, p);
        return;
    }
}
