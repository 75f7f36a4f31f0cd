/* Reads state changes from the debug log. */
#ifndef FANTAIL_TEST_MOVES_H
#define FANTAIL_TEST_MOVES_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/observe/log.h"

static int moves_fd = -1;
static struct buf moves_log;

/* From now on, all log lines are kept in memory, including debug lines. */
static inline void moves_record(void)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    moves_fd = ends[0];
    log_set_fd(ends[1]);
    log_set_level(LOG_LEVEL_DEBUG);
}

static inline void moves_read(void)
{
    char piece[4096];
    log_flush();
    for (ssize_t n; (n = read(moves_fd, piece, sizeof piece)) > 0;) buf_add(&moves_log, piece, (size_t)n);
}

/* Forgets the log so far, and frees its buffer. */
static inline void moves_forget(void)
{
    moves_read();
    buf_release(&moves_log);
}

static inline void moves_add_member(struct buf *moves, const char *line, const char *name)
{
    const char *at = strstr(line, name);
    cr_assert_not_null(at, "%s", line);
    at += strlen(name);
    buf_add(moves, at, strcspn(at, "\""));
}

/* Returns the state changes in the log lines with this message, as a text such as "new>running running>ended". The
 * caller releases the buffer. */
static inline struct buf moves_of(const char *message)
{
    struct buf moves = {0};
    char want[80];
    snprintf(want, sizeof want, "\"msg\":\"%s\"", message);
    moves_read();
    for (const char *line = buf_cstr(&moves_log), *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *found = strstr(line, want);
        if (!found || found > end) continue;
        if (moves.len) buf_add_char(&moves, ' ');
        moves_add_member(&moves, line, "\"from\":\"");
        buf_add_char(&moves, '>');
        moves_add_member(&moves, line, "\"to\":\"");
    }
    buf_cstr(&moves);
    return moves;
}

#define assert_moves(message, expected)                                                                                \
    do {                                                                                                               \
        struct buf moves = moves_of(message);                                                                          \
        cr_assert_str_eq(buf_cstr(&moves), expected);                                                                  \
        buf_release(&moves);                                                                                           \
    } while (0)

#endif
