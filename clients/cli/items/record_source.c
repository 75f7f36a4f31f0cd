#include "cli/items/record_source.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"

#define READ_BYTES (64u << 10)

/* The separator of CSV is one byte. */
static bool set_csv_separator(struct record_source *s, char *err, size_t err_size)
{
    const struct separator *given = &s->separator;
    s->reader.csv.separator = given->plain.len ? given->plain.data[0] : ',';
    bool is_byte = !given->is_regex && given->plain.len <= 1 && !strchr("\"\r\n", s->reader.csv.separator);
    if (!is_byte) snprintf(err, err_size, "the separator of CSV must be one character, and not a quote");
    return is_byte;
}

bool record_source_init(struct record_source *s, const struct record_plan *p, char *err, size_t err_size)
{
    *s = (struct record_source){
        .reader = {.form = p->csv     ? RECORD_CSV
                           : p->array ? RECORD_ARRAY
                           : p->nulls ? RECORD_NULLS
                                      : RECORD_LINES,
                   .raw = p->values == ITEM_VALUES_RAW,
                   .delimiter = p->delimiter,
                   .trims_left = p->trims_left,
                   .trims_right = p->trims_right,
                   .skip_blank = p->skip_blank || p->values == ITEM_VALUES_JSON},
        .end = p->end,
        .maker = {.values = p->values,
                  .rows = p->rows,
                  .columns = p->csv || p->separator,
                  .names = p->header ? &s->names : NULL,
                  .group_max = p->group_max,
                  .length_max = p->length_max,
                  .shares = p->shares},
    };
    bool good = !p->separator || separator_init(&s->separator, p->separator, err, err_size);
    if (good && p->csv) good = set_csv_separator(s, err, err_size);
    s->separator.trims_left = p->trims_left;
    s->separator.trims_right = p->trims_right;
    if (p->separator && !p->csv) s->reader.separator = &s->separator;
    if (!good) record_source_release(s);
    return good;
}

void record_source_release(struct record_source *s)
{
    record_reader_release(&s->reader);
    separator_release(&s->separator);
    header_names_release(&s->names);
    item_maker_release(&s->maker);
    record_release(&s->combined);
    buf_release(&s->raw);
    buf_release(&s->lines);
    *s = (struct record_source){0};
}

static void note_fault(struct record_source *s)
{
    s->finished = true;
    snprintf(s->fault, sizeof s->fault, "%s %llu: %s", s->reader.form == RECORD_NULLS ? "text" : "line",
             (unsigned long long)s->reader.number, s->reader.why);
}

/* Checks the encoding at the start of the input. Returns false if more bytes are needed. */
static bool begin(struct record_source *s)
{
    if (!s->ended && encoding_needs_more(s->raw.data, s->raw.len)) return false;
    s->begun = true;
    if (s->reader.raw || s->reader.form == RECORD_NULLS) return true;
    enum encoding e = encoding_of(s->raw.data, s->raw.len);
    s->raw_used = encoding_mark_bytes(e);
    if (!encoding_is_wide(e)) return true;
    s->finished = true;
    snprintf(s->fault, sizeof s->fault, "cannot read the items: %s. iconv or a similar program can convert them",
             encoding_fault(e));
    return true;
}

/* Reads more bytes. Returns false, with errno, if reading fails, or if more bytes are needed to determine the encoding.
 */
static bool fill(struct record_source *s, int fd)
{
    buf_drop_front(&s->raw, s->raw_used);
    s->raw_used = 0;
    if (!buf_reserve(&s->raw, READ_BYTES)) BUG("a buffer without a cap is full");
    ssize_t n = read(fd, s->raw.data + s->raw.len, READ_BYTES);
    if (n < 0) return false;
    s->raw.len += (size_t)n;
    s->bytes += (size_t)n;
    s->ended = n == 0;
    if (s->begun || begin(s)) return true;
    errno = EAGAIN;
    return false;
}

/* Reads the next record of the bytes that are there. */
static enum record_step next_record(struct record_source *s)
{
    enum record_step step = RECORD_MORE;
    const char *data = s->raw.data + s->raw_used;
    size_t len = s->raw.len - s->raw_used;
    if (s->finished || !s->begun) return RECORD_MORE;
    if (len > 0) step = record_reader_read(&s->reader, &data, &len);
    s->raw_used = s->raw.len - len;
    if (step != RECORD_MORE || !s->ended) return step;
    return record_reader_end(&s->reader);
}

/* Checks the number of the values against the header, and whether values of JSON items are JSON. */
static enum record_step check_values(struct record_source *s, const struct input_record *r)
{
    size_t names = s->names.names.count, at;
    const char *error;
    bool exact = s->reader.form == RECORD_CSV;
    bool good = !s->maker.names || r->count == names || (!exact && (s->maker.rows || r->count < names));
    if (!good)
        return record_reader_fail(&s->reader, "the number of values is %zu, but the header has %zu", r->count, names);
    for (size_t i = 0; s->maker.values == ITEM_VALUES_JSON && i < r->count; i++) {
        struct json_slice value = record_value(r, i);
        if (!json_valid(value.data, value.len, &at, &error))
            return record_reader_fail(&s->reader, "not JSON at byte %zu: %s%s", at, error,
                                      s->maker.rows ? "" : ". If the items are text, give --text");
    }
    return RECORD_WHOLE;
}

static enum record_step take(struct record_source *s, const struct input_record *r)
{
    enum record_step step = check_values(s, r);
    if (step != RECORD_WHOLE) return step;
    item_maker_add(&s->maker, r, &s->lines);
    if (s->maker.held.len <= LIMIT_ITEM_BYTES) return RECORD_WHOLE;
    return record_reader_fail(&s->reader, "with the lines before it, this line makes an item of more than %u MiB",
                              LIMIT_ITEM_BYTES >> 20);
}

/* Returns whether the record is the line `end`, before which the input ends. */
static bool is_end(const struct record_source *s)
{
    if (!s->end || s->reader.record.count != 1) return false;
    struct json_slice value = record_value(&s->reader.record, 0);
    return value.len == strlen(s->end) && memcmp(value.data, s->end, value.len) == 0;
}

static void make_items(struct record_source *s)
{
    enum record_step step;
    while ((step = next_record(s)) == RECORD_WHOLE && !is_end(s)) {
        step = take(s, &s->reader.record);
        if (step != RECORD_WHOLE) break;
    }
    s->ended = s->ended || step == RECORD_WHOLE;
    if (step == RECORD_FAULT) note_fault(s);
    if (s->finished || !s->ended) return;
    item_maker_end(&s->maker, &s->lines);
    s->finished = true;
}

/* Makes a record of the next combination of the lists, and takes its values for the items. Returns RECORD_MORE after
 * the last combination. */
static enum record_step combine(struct record_source *s, struct item_lists *lists)
{
    struct json_slice values[ITEM_LISTS_MAX];
    if (!item_lists_values(lists, values)) return RECORD_MORE;
    record_clear(&s->combined);
    s->reader.number = lists->index;
    for (unsigned list = 0; list < lists->count; list++) {
        if (record_reader_cut(&s->reader, values[list].data, values[list].len) == RECORD_FAULT) return RECORD_FAULT;
        for (size_t i = 0; i < s->reader.record.count; i++) {
            struct json_slice value = record_value(&s->reader.record, i);
            record_add(&s->combined, value.data, value.len);
        }
    }
    return take(s, &s->combined);
}

static void make_list_items(struct record_source *s, struct item_lists *lists, size_t max)
{
    enum record_step step = RECORD_WHOLE;
    while (s->lines.len < max && step == RECORD_WHOLE) step = combine(s, lists);
    if (step == RECORD_WHOLE) return;
    s->finished = true;
    if (step == RECORD_MORE)
        item_maker_end(&s->maker, &s->lines);
    else
        snprintf(s->fault, sizeof s->fault, "combination %llu of the lists: %s", (unsigned long long)s->reader.number,
                 s->reader.why);
}

bool record_source_has_more(const struct record_source *s)
{
    bool has_bytes = s->begun && (s->raw_used < s->raw.len || s->ended);
    return s->used < s->lines.len || s->finished || has_bytes;
}

ssize_t record_source_read(struct record_source *s, int fd, struct item_lists *lists, char *data, size_t max)
{
    if (s->used == s->lines.len) {
        buf_clear(&s->lines);
        s->used = 0;
        if (!lists && !record_source_has_more(s) && !fill(s, fd)) return -1;
        if (lists && !s->finished)
            make_list_items(s, lists, max);
        else if (!lists)
            make_items(s);
        if (s->lines.len == 0 && s->finished) return 0;
    }
    if (s->lines.len > 0) return (ssize_t)bytes_copy_next(data, max, s->lines.data, s->lines.len, &s->used);
    errno = EAGAIN;
    return -1;
}

static enum record_step take_names(struct record_source *s)
{
    header_names_add(&s->names, &s->reader.record);
    if (s->names.names.count <= HEADER_NAMES_MAX) return RECORD_WHOLE;
    return record_reader_fail(&s->reader, "the header has more than %d names", HEADER_NAMES_MAX);
}

bool record_source_read_header(struct record_source *s, int fd)
{
    enum record_step step;
    while ((step = next_record(s)) == RECORD_MORE && !s->finished && !s->ended) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, -1) < 0 || fill(s, fd) || errno == EINTR || errno == EAGAIN) continue;
        return false;
    }
    if (step == RECORD_WHOLE) step = take_names(s);
    if (step == RECORD_FAULT) note_fault(s);
    return s->fault[0] == '\0';
}

bool record_source_take_header(struct record_source *s, struct item_lists *lists)
{
    for (unsigned i = 0; i < lists->count; i++) {
        struct item_list *list = &lists->lists[i];
        if (list->count == 0) continue;
        enum record_step step = record_reader_cut(&s->reader, list->values[0].data, list->values[0].len);
        if (step == RECORD_FAULT || take_names(s) == RECORD_FAULT) {
            snprintf(s->fault, sizeof s->fault, "the first value of list %u: %s", i + 1, s->reader.why);
            return false;
        }
        item_lists_drop_first(lists, i);
    }
    return true;
}
