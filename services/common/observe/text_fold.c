#include "common/observe/text_fold.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LEAST_WIDTH = 40, MOST_WIDTH = 100, WIDTH_OTHERWISE = 80 };
enum { TABLE_COLUMN = 16 }; /* the remark of a table row begins at this column or before it */

static unsigned long terminal_width(void)
{
    static const int fds[] = {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO};
    struct winsize size = {0};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (ioctl(fds[i], TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char *given = getenv("COLUMNS");
    unsigned long columns = given ? strtoul(given, NULL, 10) : 0;
    return columns ? columns : WIDTH_OTHERWISE;
}

unsigned text_fold_width(void)
{
    unsigned long width = terminal_width();
    return width < LEAST_WIDTH ? LEAST_WIDTH : width > MOST_WIDTH ? MOST_WIDTH : (unsigned)width;
}

static void add_spaces(struct buf *out, size_t n)
{
    while (n-- > 0) buf_add_char(out, ' ');
}

/* The line that is being written. */
struct folded_text {
    struct buf *out;
    unsigned width;
    size_t column;
    bool has_word;
    size_t rest_indent; /* if the line is folded: indentation of the lines after the first */
};

/* Adds the words of one line of the text. Spaces between the words stay as they are, except where the line is folded.
 * After two or more spaces, the rest of the line is a remark. If the whole remark does not fit on the line, it begins
 * on a new line. But if the remark begins near the start of the line, the line is a row of a table: the remark stays
 * there, and its further lines begin at the same column. */
static void add_words(struct folded_text *f, const char *line, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t gap = strspn(line + at, " "), word = strcspn(line + at + gap, " \n");
        if (at + gap >= len) return;
        if (at == 0 && f->has_word) gap = 1; /* a further line of a paragraph */
        bool is_table = gap > 1 && f->has_word && f->column + gap <= TABLE_COLUMN;
        if (is_table) f->rest_indent = f->column + gap;
        size_t unit = gap > 1 && !is_table ? len - at : gap + word;
        if (f->has_word && f->column + unit > f->width) {
            buf_add_char(f->out, '\n');
            add_spaces(f->out, f->rest_indent);
            f->column = f->rest_indent;
            gap = 0;
        }
        size_t skipped = strspn(line + at, " ");
        add_spaces(f->out, gap);
        buf_add(f->out, line + at + skipped, word);
        f->column += gap + word;
        f->has_word = true;
        at += skipped + word;
    }
}

void text_fold_add(struct buf *out, const char *text, unsigned width)
{
    struct folded_text f = {.out = out, .width = width};
    while (*text) {
        size_t len = strcspn(text, "\n"), indent = strspn(text, " ");
        f.column = 0;
        f.has_word = false;
        f.rest_indent = indent ? indent + 2 : 0;
        add_words(&f, text, len);
        text += len + (text[len] == '\n');
        while (len && !indent && *text && *text != '\n' && *text != ' ') {
            len = strcspn(text, "\n");
            add_words(&f, text, len);
            text += len + (text[len] == '\n');
        }
        buf_add_char(out, '\n');
    }
}
