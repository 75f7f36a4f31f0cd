#include "coordinator/fleet/task_list.h"

#include <cjson/cJSON.h>

#include "common/base/buf.h"
#include "common/json/json_own.h"
#include "common/json/json_scan.h"

enum { SLOTS_MAX = 1000000 };

static bool is_any_of(const char *name, const char *const *words)
{
    while (*words && strcmp(name, *words) != 0) words++;
    return *words != NULL;
}

/* Prints the members that the coordinator does not use itself, such as mode and description. */
static char *print_others(const cJSON *task)
{
    static const char *const ours[] = {"name",         "error",   "idempotent", "slots", "starting",
                                       "cannot_start", "workers", "broken",     NULL};
    struct buf out = {0};
    const cJSON *member;
    size_t len;
    cJSON_ArrayForEach(member, task)
    {
        if (is_any_of(member->string, ours)) continue;
        char *value = cJSON_PrintUnformatted(member);
        buf_add_char(&out, ',');
        buf_add_json_string(&out, member->string, strlen(member->string));
        buf_addf(&out, ":%s", value);
        cJSON_free(value);
    }
    buf_add_char(&out, '\0');
    return buf_detach(&out, &len);
}

static unsigned read_slots(const cJSON *v)
{
    return cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= (double)SLOTS_MAX ? (unsigned)v->valuedouble
                                                                                           : 0;
}

static void read_task(struct task_list *l, const cJSON *task)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(task, "name");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(task, "error");
    const cJSON *idempotent = cJSON_GetObjectItemCaseSensitive(task, "idempotent");
    const cJSON *cannot_start = cJSON_GetObjectItemCaseSensitive(task, "cannot_start");
    if (!cJSON_IsString(name)) return;
    l->tasks[l->count++] = (struct listed_task){
        .name = xstrdup(name->valuestring),
        .error = cJSON_IsString(error) ? xstrdup(error->valuestring) : NULL,
        .idempotent = cJSON_IsTrue(idempotent)    ? IDEMPOTENCY_YES
                      : cJSON_IsFalse(idempotent) ? IDEMPOTENCY_NO
                                                  : IDEMPOTENCY_UNSAID,
        .slots = read_slots(cJSON_GetObjectItemCaseSensitive(task, "slots")),
        .starting = read_slots(cJSON_GetObjectItemCaseSensitive(task, "starting")),
        .cannot_start = cJSON_IsString(cannot_start) ? xstrdup(cannot_start->valuestring) : NULL,
        .about = print_others(task),
    };
}

struct task_list *task_list_read(const char *text, size_t len)
{
    size_t offset;
    const char *why;
    if (!json_valid(text, len, &offset, &why) || !json_own_check(text, len, &offset, &why)) return NULL;
    cJSON *root = cJSON_ParseWithLength(text, len);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "tasks"), *task;
    struct task_list *l = NULL;
    if (cJSON_IsArray(list)) {
        char *printed = cJSON_PrintUnformatted(list);
        l = xcalloc(1, sizeof *l);
        l->tasks = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *l->tasks);
        l->text = xstrdup(printed);
        cJSON_free(printed);
        cJSON_ArrayForEach(task, list) read_task(l, task);
    }
    cJSON_Delete(root);
    return l;
}

void task_list_free(struct task_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->tasks[i].name);
        free(l->tasks[i].error);
        free(l->tasks[i].cannot_start);
        free(l->tasks[i].about);
    }
    free(l->tasks);
    free(l->text);
    free(l);
}
