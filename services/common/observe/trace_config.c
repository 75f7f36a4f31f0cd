#include "common/observe/trace_config.h"

#include <strings.h>

#include "common/observe/otlp.h"

struct variable_reader {
    struct trace_config *c;
    const char *(*get)(const char *name);
};

static void note(struct trace_config *c, const char *variable, const char *why)
{
    if (c->note_count < TRACE_CONFIG_NOTES) c->notes[c->note_count++] = (struct trace_note){variable, why};
}

/* An empty variable counts as unset. */
static const char *lookup(const struct variable_reader *r, const char *name)
{
    const char *value = r->get(name);
    return value && *value ? value : NULL;
}

/* Returns the value of the first variable, or of the second one if the first is not set. Sets *name to the name of the
 * variable whose value was chosen. */
static const char *lookup_either(const struct variable_reader *r, const char *first, const char *second,
                                 const char **name)
{
    const char *value = lookup(r, first);
    *name = value ? first : second;
    return value ? value : lookup(r, second);
}

/* ---- lists: key=value,key=value with values percent-encoded ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1, low = high < 0 ? -1 : hex_value(text[i + 2]);
            if (low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) return false;
        buf_add_char(out, c);
    }
    return true;
}

static void trim(const char **text, size_t *len)
{
    while (*len && (**text == ' ' || **text == '\t')) ++*text, --*len;
    while (*len && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t')) --*len;
}

/* Calls fn for every pair. Returns false when the list is malformed. Before the fault is found, fn may already have
 * been called for some of the pairs. */
static bool each_pair(const char *list, void (*fn)(void *data, const char *key, const char *value), void *data)
{
    bool ok = true;
    for (const char *at = list, *end; ok && *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, ",");
        size_t len = (size_t)(end - at);
        trim(&at, &len);
        if (len == 0) continue;
        const char *equals = memchr(at, '=', len), *value = equals ? equals + 1 : NULL;
        if (!equals) return false;
        size_t key_len = (size_t)(equals - at), value_len = len - key_len - 1;
        trim(&at, &key_len);
        trim(&value, &value_len);
        struct buf key = {0}, decoded = {0};
        ok = key_len > 0 && decode(&key, at, key_len) && decode(&decoded, value, value_len);
        if (ok && fn) fn(data, buf_cstr(&key), buf_cstr(&decoded));
        buf_release(&key);
        buf_release(&decoded);
    }
    return ok;
}

/* ---- the exporter ---- */

static bool is_http_url(const char *text)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    if (!scheme || !text[scheme] || strchr("/:?#@", text[scheme])) return false;
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f) return false;
    return true;
}

static bool read_endpoint(struct variable_reader *r, char *err, size_t err_size)
{
    const char *name, *suffix = "";
    const char *value = lookup_either(r, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", &name);
    if (!value) return true;
    if (!is_http_url(value)) {
        snprintf(err, err_size, "%s: must be a URL that begins with http:// or https://", name);
        return false;
    }
    size_t len = strlen(value);
    if (strcmp(name, "OTEL_EXPORTER_OTLP_ENDPOINT") == 0) suffix = value[len - 1] == '/' ? "v1/traces" : "/v1/traces";
    struct buf url = {0};
    buf_addf(&url, "%s%s", value, suffix);
    r->c->url = xstrdup(buf_cstr(&url));
    buf_release(&url);
    return true;
}

struct headers {
    char **list;
    size_t count;
    bool ok;
};

static void add_header(void *data, const char *key, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct headers *h = data;
    struct buf line = {0};
    if (key[strspn(key, token)]) h->ok = false;
    /* In libcurl, "Name:" removes the header, and "Name;" sends it with an empty value. */
    buf_addf(&line, *value ? "%s: %s" : "%s;", key, value);
    h->list = xrealloc(h->list, (h->count + 2) * sizeof *h->list);
    h->list[h->count++] = xstrdup(buf_cstr(&line));
    h->list[h->count] = NULL;
    buf_release(&line);
}

static bool read_headers(struct variable_reader *r, char *err, size_t err_size)
{
    const char *name;
    const char *value = lookup_either(r, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", &name);
    struct headers h = {.ok = true};
    if (!value) return true;
    bool ok = each_pair(value, add_header, &h) && h.ok;
    r->c->headers = h.list;
    /* The message does not show the value, which may be secret. */
    if (!ok) snprintf(err, err_size, "%s: must be name=value,name=value with %%-encoded values", name);
    return ok;
}

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long n = strtoull(text, &end, 10);
    if (*end || n == 0 || n > most) return false;
    *number = n;
    return true;
}

static uint64_t read_count(struct variable_reader *r, const char *name, uint64_t fallback, uint64_t most)
{
    const char *value = lookup(r, name);
    uint64_t n = fallback;
    if (value && !read_number(value, most, &n)) note(r->c, name, "it is not a number in the allowed range");
    return n;
}

static uint64_t read_timeout(struct variable_reader *r)
{
    const char *name = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
    return read_count(r, lookup(r, name) ? name : "OTEL_EXPORTER_OTLP_TIMEOUT", 10000, 3600000);
}

/* Reads variables that have only one supported value. If a variable has another value, adds a note and uses the
 * supported value. */
static void read_only_one(struct variable_reader *r)
{
    static const struct {
        const char *first, *second, *value, *why;
    } known[] = {
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json",
         "only http/json is supported"},
        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION", "none",
         "compression is not supported"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        const char *name, *value = lookup_either(r, known[i].first, known[i].second, &name);
        if (value && strcmp(value, known[i].value) != 0) note(r->c, name, known[i].why);
    }
}

/* ---- the sampler ---- */

static double read_ratio(struct variable_reader *r)
{
    static const char name[] = "OTEL_TRACES_SAMPLER_ARG";
    const char *text = lookup(r, name);
    char *end;
    if (!text) return 1;
    double ratio = strtod(text, &end);
    if (end != text && !*end && ratio >= 0 && ratio <= 1) return ratio;
    note(r->c, name, "it is not a number from 0 to 1; every trace is recorded");
    return 1;
}

static void read_sampler(struct variable_reader *r)
{
    static const char name[] = "OTEL_TRACES_SAMPLER";
    static const struct {
        const char *word;
        bool follows_parent, takes_ratio;
        double ratio;
    } known[] = {
        {"parentbased_always_on", true, false, 1},
        {"parentbased_always_off", true, false, 0},
        {"parentbased_traceidratio", true, true, 1},
        {"always_on", false, false, 1},
        {"always_off", false, false, 0},
        {"traceidratio", false, true, 1},
    };
    const char *word = lookup(r, name);
    r->c->sampler = (struct trace_sampler){.follows_parent = true, .ratio = 1};
    for (size_t i = 0; word && i < ARRAY_SIZE(known); i++) {
        if (strcmp(word, known[i].word) != 0) continue;
        r->c->sampler.follows_parent = known[i].follows_parent;
        r->c->sampler.ratio = known[i].takes_ratio ? read_ratio(r) : known[i].ratio;
        return;
    }
    if (word) note(r->c, name, "the sampler is not known; parentbased_always_on is used");
}

/* ---- the whole configuration ---- */

static bool is_off(struct variable_reader *r)
{
    const char *disabled = lookup(r, "OTEL_SDK_DISABLED"), *exporter = lookup(r, "OTEL_TRACES_EXPORTER");
    if (disabled && strcasecmp(disabled, "true") == 0) return true;
    if (disabled && strcasecmp(disabled, "false") != 0) note(r->c, "OTEL_SDK_DISABLED", "it is neither true nor false");
    if (exporter && strcmp(exporter, "none") == 0) return true;
    if (exporter && strcmp(exporter, "otlp") != 0)
        note(r->c, "OTEL_TRACES_EXPORTER", "only the exporter otlp is supported");
    return false;
}

static void read_resource(struct variable_reader *r)
{
    static const char name[] = "OTEL_RESOURCE_ATTRIBUTES";
    const char *service = lookup(r, "OTEL_SERVICE_NAME"), *attributes = lookup(r, name);
    if (service) r->c->service_name = xstrdup(service);
    if (!attributes) return;
    if (each_pair(attributes, NULL, NULL))
        r->c->resource_text = xstrdup(attributes);
    else
        note(r->c, name, "it is not key=value,key=value with %-encoded values");
}

bool trace_config_read(struct trace_config *c, const char *(*get)(const char *name), char *err, size_t err_size)
{
    struct variable_reader r = {c, get};
    *c = (struct trace_config){0};
    if (is_off(&r)) return true;
    if (!read_endpoint(&r, err, err_size)) return false;
    if (!c->url) return true;
    if (!read_headers(&r, err, err_size)) {
        trace_config_release(c);
        return false;
    }
    c->timeout_ms = read_timeout(&r);
    c->delay_ms = read_count(&r, "OTEL_BSP_SCHEDULE_DELAY", 5000, 3600000);
    c->queue_spans = (unsigned)read_count(&r, "OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1000000);
    c->batch_spans = (unsigned)read_count(&r, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1000000);
    if (c->batch_spans > c->queue_spans) c->batch_spans = c->queue_spans;
    read_only_one(&r);
    read_sampler(&r);
    read_resource(&r);
    return true;
}

void trace_config_release(struct trace_config *c)
{
    for (char **at = c->headers; at && *at; at++) free(*at);
    free(c->headers);
    free(c->url);
    free(c->service_name);
    free(c->resource_text);
    *c = (struct trace_config){0};
}

/* ---- the resource ---- */

struct resource {
    struct buf *out;
    const struct trace_config *c;
    bool has_name, has_version, has_instance;
};

static void add_given(void *data, const char *key, const char *value)
{
    struct resource *r = data;
    bool is_name = strcmp(key, "service.name") == 0;
    if (is_name && r->c->service_name) return;
    r->has_name |= is_name;
    r->has_version |= strcmp(key, "service.version") == 0;
    r->has_instance |= strcmp(key, "service.instance.id") == 0;
    otlp_add_resource(r->out, key, value);
}

void trace_config_resource(const struct trace_config *c, const char *service, const char *instance, struct buf *out)
{
    struct resource r = {.out = out, .c = c};
    if (c->resource_text && !each_pair(c->resource_text, add_given, &r))
        BUG("a list that was well formed no longer is");
    if (!r.has_name) otlp_add_resource(out, "service.name", c->service_name ? c->service_name : service);
    if (!r.has_version) otlp_add_resource(out, "service.version", FANTAIL_VERSION);
    if (!r.has_instance) otlp_add_resource(out, "service.instance.id", instance);
}
