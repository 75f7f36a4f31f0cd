#include "cli/options/input_guess.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json/encoding.h"
#include "common/json/json_scan.h"

enum { LOOK_BYTES = 64 << 10 }; /* how much of the beginning of the file is read */

static bool has_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path), suffix_len = strlen(suffix);
    return len > suffix_len && strcasecmp(path + len - suffix_len, suffix) == 0;
}

/* Reads the beginning of a regular file, without moving the offset of standard input. Sets *whole if the file has no
 * more bytes. Returns how many bytes were read. If the file cannot be read twice, does not open it and returns 0: if a
 * FIFO were opened and closed, its writer could end with a broken pipe. */
static size_t look(const char *path, char data[LOOK_BYTES], bool *whole)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    if ((standard ? fstat(STDIN_FILENO, &st) : stat(path, &st)) != 0 || !S_ISREG(st.st_mode)) return 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return 0;
    off_t at = standard ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t n = at >= 0 ? pread(fd, data, LOOK_BYTES, at) : 0;
    *whole = n >= 0 && at + n >= st.st_size;
    if (!standard) close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* Returns whether the bytes begin one JSON array. They may also be lines of JSON, each of which is an array. So the
 * first line decides: if it is a whole JSON value, the input has lines. But a file with only this line is one array if
 * `named` is set. `named`: the name of the file ends with .json. */
static bool begins_array(const char *data, size_t len, bool whole, bool named)
{
    size_t mark = encoding_mark_bytes(encoding_of(data, len)), offset;
    const char *why, *at = data + mark, *end = data + len;
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    if (at == end || *at != '[') return false;
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *line_end = newline ? newline : end;
    if (!newline && !whole) return named; /* the first line is long */
    if (!json_valid(at, (size_t)(line_end - at), &offset, &why)) return offset == (size_t)(line_end - at);
    for (at = line_end; at < end && (*at == '\n' || *at == '\r' || *at == ' ' || *at == '\t');) at++;
    return named && whole && at == end;
}

void input_guess(struct record_options *o, const char *path)
{
    static char data[LOOK_BYTES];
    bool whole = false;
    o->csv = has_suffix(path, ".csv") || has_suffix(path, ".tsv");
    if (has_suffix(path, ".tsv")) o->colsep = "\t";
    if (o->csv) return;
    size_t len = look(path, data, &whole);
    o->array = len > 0 && begins_array(data, len, whole, has_suffix(path, ".json"));
}
