#include "cli/options/common_option.h"

#include <errno.h>

#include "cli/base/exit_status.h"
#include "common/base/limits.h"
#include "common/json/json_scan.h"

#define OPTION "common"

enum {
    QUERY_BYTES = 2048,                  /* a longer value is not sent in the query */
    LINE_BYTES = 64,                     /* more than what the first line has besides the value */
    ENVIRONMENT_BYTES = 128 * 1024 - 32, /* Linux limits one variable of the environment to 128 KiB */
};

void common_option_release(struct common_option *v)
{
    buf_release(&v->json);
    buf_release(&v->first_line);
}

/* Reads the file, which may be a pipe. Stops when it has read more than LIMIT_OPTIONS_BYTES, which is too much. */
static int read_file(const struct option_spec *spec, const char *path, struct buf *text)
{
    FILE *file = fopen(path, "re");
    if (!file) return option_complain(spec, OPTION, "cannot read %s: %s", path, strerror(errno));
    while (!feof(file) && !ferror(file) && text->len <= LIMIT_OPTIONS_BYTES) {
        if (!buf_reserve(text, 64 * KIB)) BUG("a buffer without a cap is full");
        text->len += fread(text->data + text->len, 1, 64 * KIB, file);
    }
    int error = ferror(file) ? errno : 0;
    fclose(file);
    return error ? option_complain(spec, OPTION, "cannot read %s: %s", path, strerror(error)) : EXIT_OK;
}

/* Replaces each line break with a space. In valid JSON, line breaks are only between tokens, so the value stays the
 * same. */
static void put_on_one_line(struct buf *json)
{
    for (size_t i = 0; i < json->len; i++)
        if (json->data[i] == '\n' || json->data[i] == '\r') json->data[i] = ' ';
}

static int check(const struct option_spec *spec, const struct buf *json, bool for_command)
{
    size_t offset;
    const char *error;
    /* The message does not say how long the value is, because only the beginning of a large file was read. */
    if (json->len > LIMIT_OPTIONS_BYTES - LINE_BYTES)
        return option_complain(spec, OPTION,
                               "the value has more than %u bytes. It is sent again with each chunk of items, so put a "
                               "larger one into a file that the tasks can read, and give the path of the file",
                               LIMIT_OPTIONS_BYTES - LINE_BYTES);
    if (!json_valid(json->data, json->len, &offset, &error))
        return option_complain(spec, OPTION, "not JSON at byte %zu: %s", offset, error);
    if (for_command && json->len > ENVIRONMENT_BYTES)
        return option_complain(spec, OPTION,
                               "the value has %zu bytes, and the environment of a command has room for %u. Give the "
                               "command the name of a file",
                               json->len, (unsigned)ENVIRONMENT_BYTES);
    return EXIT_OK;
}

int common_option_read(struct common_option *v, const struct option_spec *spec, const char *given, bool for_command)
{
    *v = (struct common_option){0};
    int status = EXIT_OK;
    if (given[0] == '@')
        status = read_file(spec, given + 1, &v->json);
    else
        buf_add_str(&v->json, given);
    if (status == EXIT_OK) status = check(spec, &v->json, for_command);
    buf_cstr(&v->json);
    if (status != EXIT_OK || v->json.len <= QUERY_BYTES) return status;
    put_on_one_line(&v->json);
    buf_add_str(&v->first_line, "{\"common\":");
    buf_add(&v->first_line, v->json.data, v->json.len);
    buf_add_str(&v->first_line, "}\n");
    buf_release(&v->json);
    return EXIT_OK;
}
