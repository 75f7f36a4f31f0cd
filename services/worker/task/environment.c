#include "worker/task/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* fantail sets these variables, so the worker drops values of these variables that it has inherited. */
static const char *const ours[] = {"FANTAIL_TASK",   "FANTAIL_TASK_FOLDER", "FANTAIL_PROCESS",
                                   "FANTAIL_WORKER", "TRACEPARENT",         "TRACESTATE"};

#define TMPDIR "TMPDIR="

struct variables {
    const char **list;
    size_t count;
};

static void add(struct variables *l, const char *variable)
{
    l->list = xrealloc(l->list, (l->count + 2) * sizeof *l->list);
    l->list[l->count++] = xstrdup(variable);
    l->list[l->count] = NULL;
}

static void PRINTF_LIKE(2, 3) addf(struct variables *l, const char *format, ...)
{
    char *variable;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&variable, format, args);
    va_end(args);
    if (len < 0) BUG("out of memory for a variable");
    add(l, variable);
    free(variable);
}

static void add_all(struct variables *l, const char *const *variables)
{
    for (size_t i = 0; variables && variables[i]; i++) add(l, variables[i]);
}

static bool is_ours(const char *variable)
{
    size_t name = strcspn(variable, "=");
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (strlen(ours[i]) == name && strncmp(variable, ours[i], name) == 0) return true;
    return false;
}

static bool is_replaced(const char *variable, const char *const *own)
{
    size_t name = strcspn(variable, "=") + 1;
    for (size_t i = 0; own && own[i]; i++)
        if (strncmp(variable, own[i], name) == 0) return true;
    return false;
}

const char **environment_of_task(const char **own, const char *task_name, const char *folder)
{
    struct variables l = {0};
    for (char **e = environ; *e; e++)
        if (!is_ours(*e) && !is_replaced(*e, own)) add(&l, *e);
    add_all(&l, own);
    addf(&l, "FANTAIL_TASK=%s", task_name);
    addf(&l, "FANTAIL_TASK_FOLDER=%s", folder);
    environment_free(own);
    return l.list;
}

const char **environment_of_process(const char *const *of_task, const struct environment_process *p)
{
    struct variables l = {0};
    for (size_t i = 0; of_task[i]; i++)
        if (!p->scratch || strncmp(of_task[i], TMPDIR, strlen(TMPDIR)) != 0) add(&l, of_task[i]);
    addf(&l, "FANTAIL_PROCESS=%d-%llu", (int)p->worker, (unsigned long long)p->token);
    if (p->scratch) addf(&l, TMPDIR "%s", p->scratch);
    addf(&l, "FANTAIL_WORKER=%s", p->worker_id);
    return l.list;
}

void environment_free(const char **list)
{
    for (size_t i = 0; list && list[i]; i++) free((void *)(uintptr_t)list[i]);
    free(list);
}
