#include "coordinator/fleet/catalog.h"

#include <cjson/cJSON.h>

#include "common/base/limits.h"
#include "protocol/protocol.h"

struct catalog_question {
    struct catalog_question *next;
    void (*answered)(void *data, bool ok);
    void *data;
};

void catalog_init(struct catalog *c, struct http_client *client)
{
    *c = (struct catalog){.client = client};
    buf_init(&c->incoming, LIMIT_OPTIONS_BYTES);
}

static void forget_tasks(struct catalog *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->tasks[i].name);
        free(c->tasks[i].error);
    }
    free(c->tasks);
    c->tasks = NULL;
    c->count = 0;
}

void catalog_release(struct catalog *c)
{
    if (c->call) http_call_cancel(c->call);
    c->call = NULL;
    while (c->questions) catalog_drop(c, c->questions);
    forget_tasks(c);
    buf_release(&c->document);
    buf_release(&c->incoming);
}

const struct catalog_task *catalog_find(const struct catalog *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->tasks[i].name, name) == 0) return &c->tasks[i];
    return NULL;
}

/* Reads {"tasks":[{"name":...,"idempotent":...}]}. A document of another shape changes nothing. */
static bool read_document(struct catalog *c)
{
    cJSON *root = cJSON_ParseWithLength(c->incoming.data, c->incoming.len);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "tasks"), *one;
    if (!cJSON_IsArray(list)) {
        cJSON_Delete(root);
        return false;
    }
    forget_tasks(c);
    c->tasks = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *c->tasks);
    cJSON_ArrayForEach(one, list)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");
        const cJSON *idempotent = cJSON_GetObjectItemCaseSensitive(one, "idempotent");
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(one, "error");
        if (!cJSON_IsString(name)) continue;
        c->tasks[c->count++] = (struct catalog_task){
            .name = xstrdup(name->valuestring),
            .error = cJSON_IsString(error) ? xstrdup(error->valuestring) : NULL,
            .idempotent = !cJSON_IsFalse(idempotent),
        };
    }
    cJSON_Delete(root);
    buf_clear(&c->document);
    buf_add(&c->document, c->incoming.data, c->incoming.len);
    c->known = true;
    return true;
}

static bool on_body(void *data, const char *bytes, size_t len)
{
    struct catalog *c = data;
    return buf_add(&c->incoming, bytes, len);
}

static void on_end(void *data, const struct http_call_result *result)
{
    struct catalog *c = data;
    c->call = NULL;
    c->rejects_token = result->status == 401 || result->status == 403;
    bool ok = result->outcome == HTTP_CALL_OK && result->status == 200 && read_document(c);
    snprintf(c->fault, sizeof c->fault, "%s", ok || result->outcome == HTTP_CALL_OK ? "" : result->reason);
    while (c->questions) {
        struct catalog_question *q = c->questions;
        c->questions = q->next;
        q->answered(q->data, ok);
        free(q);
    }
}

struct catalog_question *catalog_ask(struct catalog *c, const char *url, const char *connect_to,
                                     void (*answered)(void *data, bool ok), void *data)
{
    struct catalog_question *q = xcalloc(1, sizeof *q);
    *q = (struct catalog_question){.next = c->questions, .answered = answered, .data = data};
    c->questions = q;
    if (c->call) return q;
    struct buf target = {0};
    const char *headers[] = {c->authorization, NULL};
    buf_addf(&target, "%s%s", url, PATH_TASKS);
    buf_clear(&c->incoming);
    c->call = http_call_start(c->client, &(struct http_call_options){
                                             .method = "GET",
                                             .url = buf_cstr(&target),
                                             .connect_to = connect_to,
                                             .headers = headers,
                                             .on_body = on_body,
                                             .on_end = on_end,
                                             .data = c,
                                             .silence_timeout_ms = 2000,
                                         });
    buf_release(&target);
    return q;
}

void catalog_drop(struct catalog *c, struct catalog_question *q)
{
    for (struct catalog_question **link = &c->questions; *link; link = &(*link)->next)
        if (*link == q) {
            *link = q->next;
            free(q);
            return;
        }
}

void catalog_list_names(const struct catalog *c, struct buf *out)
{
    if (c->count == 0) buf_add_str(out, "none");
    for (size_t i = 0; i < c->count; i++)
        buf_addf(out, "%s%s", i == 0 ? "" : i + 1 == c->count ? " and " : ", ", c->tasks[i].name);
}
