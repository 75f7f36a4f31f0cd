#include "cli/items/item_arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/exit_status.h"
#include "common/base/limits.h"
#include "common/json/encoding.h"
#include "common/json/json_scan.h"

#define READ_BYTES (256u << 10)

static const struct list_word {
    const char *word;
    bool files, linked;
} separators[] = {{":::", false, false}, {":::+", false, true}, {"::::", true, false}, {"::::+", true, true}};

static const struct list_word *separator_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(separators); i++)
        if (strcmp(separators[i].word, word) == 0) return &separators[i];
    return NULL;
}

int item_arguments_find(int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++)
        if (separator_of(argv[i])) return i;
    return argc;
}

/* The lists of one command line, while they are read. */
struct lists_reading {
    const struct item_arguments *given;
    const struct option_spec *spec;
    struct input_source *source;
    uint64_t bytes;               /* of all files */
    const struct list_word *word; /* of the current list; NULL: -a */
    const char *path;             /* of the current list; NULL: its values are arguments */
};

static const char *option_of(const struct lists_reading *r)
{
    return r->word ? NULL : "arg-file";
}

/* Complains about value number `value` of the current list, or about the whole list if `value` is 0. `why` is a
 * sentence without its subject, which this function adds. */
static int refuse(const struct lists_reading *r, size_t value, const char *why)
{
    struct buf subject = {0};
    if (value) buf_addf(&subject, "value %zu of ", value);
    if (r->path) buf_addf(&subject, "%s%s", value ? "" : "the file ", r->path);
    if (!r->path) buf_addf(&subject, "list %u (%s)", r->source->lists.count, r->word->word);
    int status = option_complain(r->spec, option_of(r), "%s %s", buf_cstr(&subject), why);
    buf_release(&subject);
    return status;
}

static int refuse_file(const struct lists_reading *r, const char *path, const char *why)
{
    return option_complain(r->spec, option_of(r), "cannot read %s: %s", path, why);
}

static int check_value(const struct lists_reading *r, size_t number, struct json_slice value)
{
    char why[320];
    size_t at;
    const char *error;
    struct record_reader *records = &r->source->records.reader;
    if (value.len > LIMIT_ITEM_BYTES) return refuse(r, number, "is longer than an item may be");
    if (r->given->records && record_reader_cut(records, value.data, value.len) == RECORD_FAULT)
        return refuse(r, number, records->why);
    if (r->given->raw) return EXIT_OK;
    if (r->given->text) {
        at = encoding_text_length(value.data, value.len);
        if (at == value.len) return EXIT_OK;
        snprintf(why, sizeof(why), "is not valid UTF-8 text (byte %zu of the value)", at);
        return refuse(r, number, why);
    }
    if (json_valid(value.data, value.len, &at, &error)) return EXIT_OK;
    snprintf(why, sizeof(why), "is not JSON at byte %zu of the value: %s. %s", at, error,
             r->given->rows ? "Without --json the values are text" : "If the values are text, give --text");
    return refuse(r, number, why);
}

static int check_list(const struct lists_reading *r)
{
    const struct item_list *list = &r->source->lists.lists[r->source->lists.count - 1];
    item_lists_filter(&r->source->lists, r->given->end, r->given->skip_blank);
    bool named = r->given->records && r->given->records->header; /* the name was read by record_source */
    int status = EXIT_OK;
    for (size_t i = named; i < list->count && !status; i++) status = check_value(r, i + 1, list->values[i]);
    return status;
}

static int begin_list(const struct lists_reading *r, bool linked)
{
    if (item_lists_begin(&r->source->lists, linked)) return EXIT_OK;
    return option_complain(r->spec, option_of(r), "there are more than " TEXT_OF(ITEM_LISTS_MAX) " lists of values");
}

/* Opens a file for reading; "-" is standard input. With --pipepart, does not wait for the writer of a FIFO, because a
 * FIFO is refused. Returns -1 after a complaint. */
static int open_file(const struct lists_reading *r, const char *path)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    int flags = O_RDONLY | O_CLOEXEC | (r->given->blocks && r->given->blocks->part ? O_NONBLOCK : 0);
    int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, flags);
    if (fd < 0) {
        refuse_file(r, path, strerror(errno));
    } else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        refuse_file(r, path, strerror(EISDIR));
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Appends all of the file to *text. */
static int read_file(struct lists_reading *r, int fd, struct buf *text)
{
    for (ssize_t n = 1; n != 0;) {
        if (!buf_reserve(text, READ_BYTES)) BUG("a buffer without a cap is full");
        n = read(fd, text->data + text->len, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse_file(r, r->path, strerror(errno));
        text->len += (size_t)n;
        r->bytes += (size_t)n;
        if (r->bytes > ITEM_ARGUMENTS_BYTES)
            return refuse_file(r, r->path, "the files of several lists may have at most 256 MiB in all");
    }
    return EXIT_OK;
}

static int add_file_text(struct lists_reading *r, const struct buf *text)
{
    struct item_lists *lists = &r->source->lists;
    enum encoding e = r->given->nulls || r->given->raw ? ENCODING_UTF8 : encoding_of(text->data, text->len);
    if (encoding_fault(e)) return refuse_file(r, r->path, encoding_fault(e));
    size_t mark = encoding_mark_bytes(e);
    if (text->len > mark)
        item_lists_add_parts(lists, text->data + mark, text->len - mark, r->given->nulls ? r->given->delimiter : '\n');
    return check_list(r);
}

static int add_file(struct lists_reading *r, const char *path, bool linked)
{
    r->path = path;
    if (r->given->records && r->given->records->csv)
        return option_complain(r->spec, "csv", "a file of CSV cannot be combined with other lists");
    int status = begin_list(r, linked);
    if (status) return status;
    int fd = open_file(r, path);
    if (fd < 0) return EXIT_USAGE;
    struct buf *text = &r->source->texts[r->source->lists.count - 1];
    status = read_file(r, fd, text);
    close(fd);
    return status ? status : add_file_text(r, text);
}

/* Adds the arguments up to the next separator, as values or as files. Returns the next argument. */
static char **add_arguments(struct lists_reading *r, char **at, int *status)
{
    r->path = NULL;
    r->word = separator_of(*at++);
    if (!r->word->files) *status = begin_list(r, r->word->linked);
    for (; *at && !separator_of(*at) && !*status; at++) {
        if (r->word->files)
            *status = add_file(r, *at, r->word->linked);
        else
            item_lists_add(&r->source->lists, *at, strlen(*at));
    }
    if (!r->word->files && !*status) *status = check_list(r);
    return at;
}

/* If one of several lists is empty, this is most likely a mistake, such as a pattern that no file matches. */
static int check_not_empty(const struct lists_reading *r)
{
    const struct item_lists *l = &r->source->lists;
    for (unsigned i = 0; l->count > 1 && i < l->count; i++)
        if (l->lists[i].count == 0)
            return option_complain(r->spec, NULL, "list %u of %u has no values, so there are no combinations", i + 1,
                                   l->count);
    return EXIT_OK;
}

static int open_null(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int open_lists(struct lists_reading *r)
{
    const struct item_arguments *a = r->given;
    if (a->records && a->records->array)
        return option_complain(r->spec, "array", "reads one file (-a FILE) or standard input, and no other values");
    struct input_source *s = r->source;
    int status = EXIT_OK;
    s->fd = open_null();
    s->owns_fd = s->has_lists = true;
    s->raw = s->lists.raw = a->raw;
    s->lists.text = a->text;
    s->lists.rows = a->rows;
    s->lists.wraps = a->wraps;
    bool given = a->files.count || (a->lists && a->lists[0]);
    if (!given) status = add_file(r, "-", false);
    for (unsigned i = 0; i < a->files.count && !status; i++) status = add_file(r, a->files.words[i], false);
    for (char **at = a->lists; at && *at && !status;) at = add_arguments(r, at, &status);
    return status;
}

const char *item_arguments_one_file(const struct option_words *files, char *const *lists)
{
    if (!lists || !lists[0]) return files->count == 0 ? "-" : files->count == 1 ? files->words[0] : NULL;
    bool is_file = files->count == 0 && separator_of(lists[0])->files && lists[1] && !separator_of(lists[1]);
    return is_file && !lists[2] ? lists[1] : NULL;
}

static int open_records(const struct lists_reading *r)
{
    char err[320];
    if (!record_source_init(&r->source->records, r->given->records, err, sizeof err))
        return option_complain(r->spec, r->given->records->separator ? "colsep" : "csv", "%s", err);
    r->source->has_records = true;
    r->source->ready_fd = open_null();
    return EXIT_OK;
}

/* The names of columns become the names of members of a task's items, so they must differ. */
static int check_names(const struct lists_reading *r)
{
    const struct header_names *h = &r->source->records.names;
    size_t repeated = header_names_repeated(h);
    if (r->given->rows || repeated == h->names.count) return EXIT_OK;
    return option_complain(r->spec, "header", "column %zu has the name of an earlier column", repeated + 1);
}

static int read_header(const struct lists_reading *r)
{
    struct record_source *records = &r->source->records;
    bool good = r->source->has_lists ? record_source_take_header(records, &r->source->lists)
                                     : record_source_read_header(records, r->source->fd);
    if (good) return check_names(r);
    return option_complain(r->spec, "header", "%s", records->fault[0] ? records->fault : strerror(errno));
}

/* Opens the source of bytes or of lists. */
static int open_source(struct lists_reading *r)
{
    const struct item_arguments *a = r->given;
    struct input_source *s = r->source;
    const char *path = item_arguments_one_file(&a->files, a->lists);
    bool given = a->files.count || (a->lists && a->lists[0]);
    if (!given && !a->shuffles) return EXIT_OK;
    if (!path || a->shuffles) return open_lists(r);
    r->word = a->files.count ? NULL : separator_of(a->lists[0]);
    s->fd = open_file(r, path);
    s->owns_fd = s->fd >= 0;
    return s->fd >= 0 ? EXIT_OK : EXIT_USAGE;
}

static int open_blocks(const struct lists_reading *r)
{
    const char *why, *option = r->given->blocks->part ? "pipepart" : "pipe";
    struct input_source *s = r->source;
    if (r->given->shuffles) return option_complain(r->spec, "shuf", "cannot be given together with --%s", option);
    if (s->has_lists) return option_complain(r->spec, option, "takes one file (-a FILE), and no values after :::");
    if (!block_source_init(&s->blocks, s->fd, r->given->blocks, &why))
        return option_complain(r->spec, option, "%s", why);
    s->has_blocks = true;
    s->ready_fd = open_null();
    return EXIT_OK;
}

static int shuffle(const struct lists_reading *r)
{
    uint64_t seed = 0;
    if (!r->given->shuffles) return EXIT_OK;
    if (getrandom(&seed, sizeof seed, 0) < 0) seed = now_ns();
    if (item_lists_shuffle(&r->source->lists, seed)) return EXIT_OK;
    return option_complain(r->spec, "shuf", "there are more than " TEXT_OF(ITEM_LISTS_SHUFFLED_MAX) " items");
}

int item_arguments_open(const struct item_arguments *a, const struct option_spec *spec, struct input_source *source)
{
    struct lists_reading r = {.given = a, .spec = spec, .source = source};
    *source = (struct input_source){.fd = STDIN_FILENO, .raw = a->raw};
    int status = a->records ? open_records(&r) : EXIT_OK;
    if (!status) status = open_source(&r);
    if (!status && a->blocks) status = open_blocks(&r);
    if (!status && a->records && a->records->header) status = read_header(&r);
    if (!status && source->has_lists) status = check_not_empty(&r);
    if (!status) status = shuffle(&r);
    if (status) input_source_release(source);
    return status;
}
