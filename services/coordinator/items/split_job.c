/* Splits a body that is a job object. The elements of "items" become items as they arrive. The other members are
 * collected as options. */
#include "coordinator/items/splitter_internal.h"

#include "common/json/json_own.h"
#include "common/json/json_walk.h"

#define MAX_MEMBERS 64

/* The next expected part of the body. White space may come before this part, except in the three states IN_NAME,
 * IN_VALUE and IN_ITEM. */
enum split_state {
    OPEN,        /* { */
    FIRST_NAME,  /* a name or } */
    NAME,        /* a name */
    IN_NAME,     /* the rest of the name */
    COLON,       /* : */
    VALUE,       /* an option's value */
    IN_VALUE,    /* the rest of the value */
    AFTER_VALUE, /* , or } */
    ITEMS_OPEN,  /* [ */
    FIRST_ITEM,  /* an item or ] */
    ITEM,        /* an item */
    IN_ITEM,     /* the rest of the item */
    AFTER_ITEM,  /* , or ] */
    CLOSED,      /* nothing */
};

void split_job_init(struct splitter *s)
{
    s->state = OPEN;
}

static void add_to_pointer(struct splitter *s, size_t *at, char c)
{
    if (*at + 1 < sizeof(s->error.pointer)) s->error.pointer[(*at)++] = c;
    s->error.pointer[*at] = 0;
}

static void point_at_member(struct splitter *s)
{
    size_t at = 0;
    add_to_pointer(s, &at, '/');
    for (size_t i = 0; i < s->name.len; i++) {
        char c = s->name.data[i];
        bool special = c == '~' || c == '/';
        if (special) add_to_pointer(s, &at, '~');
        add_to_pointer(s, &at, c == '~' ? '0' : c == '/' ? '1' : c);
    }
}

static enum split_status fail_here(struct splitter *s, enum split_status status, uint64_t offset, const char *phrase)
{
    switch (s->state) {
    case COLON:
    case VALUE:
    case IN_VALUE:
    case ITEMS_OPEN: point_at_member(s); break;
    case FIRST_ITEM:
    case ITEM:
    case IN_ITEM:
    case AFTER_ITEM:
        snprintf(s->error.pointer, sizeof(s->error.pointer), "/items/%llu", (unsigned long long)s->item_count);
        break;
    default: s->error.pointer[0] = 0;
    }
    return split_error_set(&s->error, status, offset, phrase);
}

static bool name_is_new(struct splitter *s)
{
    const char *p = s->names.data;
    for (unsigned i = 0; i < s->name_count; i++) {
        size_t len;
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);
        if (len == s->name.len && (len == 0 || memcmp(p, s->name.data, len) == 0)) return false;
        p += len;
    }
    buf_add(&s->names, &s->name.len, sizeof(s->name.len));
    buf_add(&s->names, s->name.data, s->name.len);
    s->name_count++;
    return true;
}

/* Call it when the name in s->partial is whole. `offset` is the offset of the byte after the name. */
static enum split_status name_ended(struct splitter *s, uint64_t offset)
{
    buf_clear(&s->name);
    if (!json_string_decode((struct json_slice){s->partial.data, s->partial.len}, &s->name))
        BUG("a scanned name is not a string");
    s->state = COLON;
    const char *why = json_string_fault((struct json_slice){s->partial.data, s->partial.len});
    if (why) return fail_here(s, SPLIT_BAD, offset - s->partial.len, why);
    if (s->name_count == MAX_MEMBERS) return fail_here(s, SPLIT_BAD, offset, "the job object has too many members");
    if (!name_is_new(s)) return fail_here(s, SPLIT_BAD, offset, "the job object has the same name twice");
    return SPLIT_OK;
}

static bool name_is_items(const struct splitter *s)
{
    return s->name.len == 5 && memcmp(s->name.data, "items", 5) == 0;
}

/* Call it when the option's value in s->partial is whole. The value becomes a member of the object in s->options. */
static void option_ended(struct splitter *s)
{
    s->options.len--; /* the closing brace */
    if (s->options.len > 1) buf_add_char(&s->options, ',');
    buf_add_json_string(&s->options, s->name.len ? s->name.data : "", s->name.len);
    buf_add_char(&s->options, ':');
    size_t at = s->options.len;
    append_in_one_line(&s->options, s->partial.data, s->partial.len);
    size_t len = s->options.len - at;
    if (len >= LONG_OPTION_BYTES && len > s->long_len) {
        s->long_at = at;
        s->long_len = len;
    }
    buf_add_char(&s->options, '}');
    s->state = AFTER_VALUE;
}

/* Reads the rest of the name, option or item that has begun. */
static enum split_status read_inside(struct splitter *s, const char *p, size_t len, uint64_t offset, size_t *used)
{
    enum json_scan_status scanned = json_scan_feed(&s->scan, p, len, used);
    if (scanned == JSON_SCAN_ERROR) return fail_here(s, SPLIT_BAD, offset + *used, s->scan.error);
    if (s->state == IN_ITEM) {
        if (*used > LIMIT_ITEM_BYTES || s->partial.len > LIMIT_ITEM_BYTES - *used)
            return fail_here(s, SPLIT_ITEM_TOO_LARGE, offset, TOO_LARGE_ITEM);
        if (scanned == JSON_SCAN_WHOLE && s->partial.len == 0) {
            split_emit(s, p, *used);
            s->state = AFTER_ITEM;
            return SPLIT_OK;
        }
        append_in_one_line(&s->partial, p, *used);
        if (scanned != JSON_SCAN_WHOLE) return SPLIT_OK;
        split_emit_partial(s);
        s->state = AFTER_ITEM;
        return SPLIT_OK;
    }
    size_t kept = s->options.len + s->names.len;
    if (kept > LIMIT_OPTIONS_BYTES || !split_hold(s, p, *used, LIMIT_OPTIONS_BYTES - kept))
        return fail_here(s, SPLIT_OPTIONS_TOO_LARGE, offset, TOO_LARGE_JOB);
    if (scanned != JSON_SCAN_WHOLE) return SPLIT_OK;
    if (s->state == IN_NAME) return name_ended(s, offset + *used);
    option_ended(s);
    return SPLIT_OK;
}

/* Begins a name, an option or an item. read_inside() scans it from its first byte, in state `inside`. */
static void begin(struct splitter *s, enum split_state inside, unsigned max_depth)
{
    json_scan_init(&s->scan, max_depth);
    buf_clear(&s->partial);
    if (s->partial.alloc > MIB) buf_release(&s->partial);
    s->state = (uint8_t)inside;
}

static inline size_t small_copy(char *dst, const char *src, size_t len, size_t readable)
{
    if (len <= 16 && readable >= 16)
        memcpy(dst, src, 16); /* a copy of constant size needs no call to memcpy(); the buffer has room for 16 bytes */
    else
        memcpy(dst, src, len);
    return len;
}

/* Reads scalars while each of them is followed by a comma. Most of the splitter's time is spent in this loop. Returns
 * where the loop stopped: after an item that no comma follows (state AFTER_ITEM), or before anything that is not a
 * whole scalar (state FIRST_ITEM or ITEM). */
static const char *read_scalars(struct splitter *s, const char *p, const char *end)
{
    if (*p == '{' || *p == '[') return p;
    /* No item needs more room than its bytes and its comma. */
    if (!buf_reserve(&s->items, (size_t)(end - p) + 32)) BUG("a buffer without a cap refused items");
    char *out = s->items.data + s->items.len;
    uint64_t count = 0;
    while (p < end && *p != '{' && *p != '[') {
        size_t readable = (size_t)(end - p), n = json_value_length(p, readable);
        /* A number at the end of the piece may continue in the next piece. */
        if (n == 0 || n == readable || n > LIMIT_ITEM_BYTES) break;
        out += small_copy(out, p, n, readable);
        *out++ = '\n';
        count++;
        p += n;
        s->state = AFTER_ITEM;
        while (p < end && split_is_space(*p)) p++;
        if (p == end || *p != ',') break;
        s->state = ITEM;
        p++;
        while (p < end && split_is_space(*p)) p++;
    }
    s->items.len = (size_t)(out - s->items.data);
    s->items_in_buf += count;
    s->item_count += count;
    return p;
}

static enum split_status read_mark(struct splitter *s, char c, uint64_t offset)
{
    switch ((enum split_state)s->state) {
    case OPEN:
        if (c != '{') return fail_here(s, SPLIT_BAD, offset, "a job object was expected");
        s->state = FIRST_NAME;
        return SPLIT_OK;
    case COLON:
        if (c != ':') return fail_here(s, SPLIT_BAD, offset, "a colon was expected");
        s->state = name_is_items(s) ? ITEMS_OPEN : VALUE;
        return SPLIT_OK;
    case AFTER_VALUE:
        if (c != ',' && c != '}') return fail_here(s, SPLIT_BAD, offset, "a comma or } was expected");
        s->state = c == ',' ? NAME : CLOSED;
        return SPLIT_OK;
    case ITEMS_OPEN:
        if (c != '[') return fail_here(s, SPLIT_BAD, offset, "the items must be an array");
        s->items_seen = true;
        s->state = FIRST_ITEM;
        return SPLIT_OK;
    case AFTER_ITEM:
        if (c != ',' && c != ']') return fail_here(s, SPLIT_BAD, offset, "a comma or ] was expected");
        s->items_ended = c == ']';
        s->state = c == ',' ? ITEM : AFTER_VALUE;
        return SPLIT_OK;
    default: return fail_here(s, SPLIT_BAD, offset, "nothing was expected after the job object");
    }
}

/* Reads one punctuation mark, or begins a name, an option or an item. `p` must not point to white space. If a mark was
 * read, sets *used to 1, otherwise to 0. */
static enum split_status read_token(struct splitter *s, const char *p, uint64_t offset, size_t *used)
{
    *used = 0;
    switch ((enum split_state)s->state) {
    case FIRST_NAME:
    case NAME:
        if (*p == '"') {
            begin(s, IN_NAME, 1);
            return SPLIT_OK;
        }
        if (*p != '}' || s->state == NAME) return fail_here(s, SPLIT_BAD, offset, "a name in quotes was expected");
        s->state = CLOSED;
        break;
    case VALUE: begin(s, IN_VALUE, s->max_depth - 1); return SPLIT_OK;
    case FIRST_ITEM:
    case ITEM:
        if (*p != ']' || s->state == ITEM) {
            begin(s, IN_ITEM, s->max_depth);
            return SPLIT_OK;
        }
        s->items_ended = true;
        s->state = AFTER_VALUE;
        break;
    default: *used = 1; return read_mark(s, *p, offset);
    }
    *used = 1;
    return SPLIT_OK;
}

enum split_status split_job_feed(struct splitter *s, const char *data, size_t len)
{
    const char *p = data, *end = data + len;
    while (p < end) {
        enum split_status status;
        size_t used;
        bool inside = s->state == IN_NAME || s->state == IN_VALUE || s->state == IN_ITEM;
        if (!inside && split_is_space(*p)) {
            p++;
            continue;
        }
        if (s->state == ITEM || s->state == FIRST_ITEM) {
            const char *q = read_scalars(s, p, end);
            if (q > p) {
                p = q;
                continue;
            }
        }
        uint64_t offset = s->offset + (uint64_t)(p - data);
        if (inside)
            status = read_inside(s, p, (size_t)(end - p), offset, &used);
        else
            status = read_token(s, p, offset, &used);
        if (status != SPLIT_OK) return status;
        p += used;
    }
    return SPLIT_OK;
}

enum split_status split_job_finish(struct splitter *s)
{
    if (s->state == CLOSED) return SPLIT_OK;
    return fail_here(s, SPLIT_BAD, s->offset, "the body ends too early");
}
