#include "common/observe/metrics.h"

#include <inttypes.h>
#include <math.h>

enum family_type { COUNTER, COUNTER_FN, GAUGE, GAUGE_FN, GAUGE_EACH, HISTOGRAM, FAMILY_TYPE_COUNT };

static const char *const type_names[] = {"counter", "counter", "gauge", "gauge", "gauge", "histogram"};
static_assert(ARRAY_SIZE(type_names) == FAMILY_TYPE_COUNT, "every type has a name");

static const struct {
    uint64_t ns;
    const char *le;
} bounds[] = {
    {100 * NS_PER_US, "0.0001"},
    {250 * NS_PER_US, "0.00025"},
    {500 * NS_PER_US, "0.0005"},
    {NS_PER_MS, "0.001"},
    {2500 * NS_PER_US, "0.0025"},
    {5 * NS_PER_MS, "0.005"},
    {10 * NS_PER_MS, "0.01"},
    {20 * NS_PER_MS, "0.02"},
    {50 * NS_PER_MS, "0.05"},
    {100 * NS_PER_MS, "0.1"},
    {250 * NS_PER_MS, "0.25"},
    {500 * NS_PER_MS, "0.5"},
    {NS_PER_S, "1"},
    {2500 * NS_PER_MS, "2.5"},
    {5 * NS_PER_S, "5"},
    {10 * NS_PER_S, "10"},
    {30 * NS_PER_S, "30"},
    {60 * NS_PER_S, "60"},
    {120 * NS_PER_S, "120"},
    {300 * NS_PER_S, "300"},
    {600 * NS_PER_S, "600"},
};

struct metric_histogram {
    /* counts[i] counts only the values in bucket i, so the counts are not cumulative. The last bucket is +Inf. */
    uint64_t counts[ARRAY_SIZE(bounds) + 1];
    uint64_t sum_ns;
};

struct series {
    struct series *next;
    char *labels; /* "": none; for GAUGE_EACH: the label's name */
    union {
        uint64_t counter;
        int64_t gauge;
        struct {
            double (*fn)(void *data);
            void *data;
        } asked;
        struct {
            void (*fn)(void *data, struct metric_emitter *to);
            void *data;
        } each;
        struct metric_histogram histogram;
    } as;
};

struct family {
    struct family *next;
    const char *name, *help;
    enum family_type type;
    struct series *first, **last;
};

static struct {
    struct family *first, **last;
} registry;

static struct family *family_get(const char *name, const char *help, enum family_type type)
{
    if (!registry.last) registry.last = &registry.first;
    for (struct family *f = registry.first; f; f = f->next) {
        if (strcmp(f->name, name) != 0) continue;
        if (f->type != type) BUG("metric %s is registered as two types", name);
        return f;
    }
    struct family *f = xcalloc(1, sizeof *f);
    *f = (struct family){.name = name, .help = help, .type = type};
    f->last = &f->first;
    *registry.last = f;
    registry.last = &f->next;
    return f;
}

static struct series *series_get(const char *name, const char *help, enum family_type type, const char *labels)
{
    struct family *f = family_get(name, help, type);
    if (!labels) labels = "";
    for (struct series *s = f->first; s; s = s->next)
        if (strcmp(s->labels, labels) == 0) return s;
    struct series *s = xcalloc(1, sizeof *s);
    s->labels = xstrdup(labels);
    *f->last = s;
    f->last = &s->next;
    return s;
}

uint64_t *metric_counter(const char *name, const char *help, const char *labels)
{
    return &series_get(name, help, COUNTER, labels)->as.counter;
}

int64_t *metric_gauge(const char *name, const char *help, const char *labels)
{
    return &series_get(name, help, GAUGE, labels)->as.gauge;
}

static void register_asked(enum family_type type, const char *name, const char *help, const char *labels,
                           double (*fn)(void *data), void *data)
{
    struct series *s = series_get(name, help, type, labels);
    s->as.asked.fn = fn;
    s->as.asked.data = data;
}

void metric_gauge_fn(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data)
{
    register_asked(GAUGE_FN, name, help, labels, fn, data);
}

void metric_counter_fn(const char *name, const char *help, const char *labels, double (*fn)(void *data), void *data)
{
    register_asked(COUNTER_FN, name, help, labels, fn, data);
}

void metric_gauge_each(const char *name, const char *help, const char *label,
                       void (*each)(void *data, struct metric_emitter *to), void *data)
{
    struct series *s = series_get(name, help, GAUGE_EACH, label);
    s->as.each.fn = each;
    s->as.each.data = data;
}

void metric_counters(const char *name, const char *help, const char *label, const char *const *values, size_t count,
                     uint64_t **out)
{
    for (size_t i = 0; i < count; i++) {
        struct buf labels = {0};
        metric_add_label(&labels, label, values[i]);
        out[i] = metric_counter(name, help, buf_cstr(&labels));
        buf_release(&labels);
    }
}

struct metric_histogram *metric_histogram(const char *name, const char *help, const char *labels)
{
    return &series_get(name, help, HISTOGRAM, labels)->as.histogram;
}

void metric_observe_ns(struct metric_histogram *h, uint64_t duration_ns)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(bounds) && duration_ns > bounds[i].ns) i++;
    h->counts[i]++;
    h->sum_ns += duration_ns;
}

bool metric_add_label(struct buf *labels, const char *name, const char *value)
{
    size_t start = labels->len;
    bool ok =
        (labels->len == 0 || buf_add_char(labels, ',')) && buf_add_str(labels, name) && buf_add_str(labels, "=\"");
    for (; ok && *value; value++) {
        if (*value == '\n')
            ok = buf_add_str(labels, "\\n");
        else
            ok = (*value != '\\' && *value != '"' ? true : buf_add_char(labels, '\\')) && buf_add_char(labels, *value);
    }
    ok = ok && buf_add_char(labels, '"');
    if (!ok) labels->len = start;
    return ok;
}

static bool add_name(struct buf *out, const char *name, const char *suffix, const char *labels, const char *le)
{
    bool ok = buf_add_str(out, name) && buf_add_str(out, suffix);
    if (*labels || le) {
        ok = ok && buf_add_char(out, '{') && buf_add_str(out, labels);
        if (le) ok = ok && buf_addf(out, "%sle=\"%s\"", *labels ? "," : "", le);
        ok = ok && buf_add_char(out, '}');
    }
    return ok && buf_add_char(out, ' ');
}

static bool add_number(struct buf *out, double n)
{
    if (isnan(n)) return buf_add_str(out, "NaN");
    if (isinf(n)) return buf_add_str(out, n > 0 ? "+Inf" : "-Inf");
    return buf_addf(out, "%.15g", n);
}

static bool add_seconds(struct buf *out, uint64_t ns)
{
    return buf_addf(out, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S, ns % NS_PER_S);
}

static bool render_histogram(struct buf *out, const char *name, const struct series *s)
{
    const struct metric_histogram *h = &s->as.histogram;
    uint64_t total = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_SIZE(h->counts); i++) {
        total += h->counts[i];
        const char *le = i < ARRAY_SIZE(bounds) ? bounds[i].le : "+Inf";
        ok = add_name(out, name, "_bucket", s->labels, le) && buf_add_u64(out, total) && buf_add_char(out, '\n');
    }
    ok = ok && add_name(out, name, "_sum", s->labels, NULL) && add_seconds(out, h->sum_ns) && buf_add_char(out, '\n');
    return ok && add_name(out, name, "_count", s->labels, NULL) && buf_add_u64(out, total) && buf_add_char(out, '\n');
}

struct metric_emitter {
    struct buf *out;
    const char *name, *label;
    bool ok; /* false: `out` was full */
};

void metric_emit(struct metric_emitter *to, const char *value, double n)
{
    struct buf label = {0};
    metric_add_label(&label, to->label, value);
    to->ok = to->ok && add_name(to->out, to->name, "", buf_cstr(&label), NULL) && add_number(to->out, n) &&
             buf_add_char(to->out, '\n');
    buf_release(&label);
}

static bool render_each(struct buf *out, const char *name, const struct series *s)
{
    struct metric_emitter to = {out, name, s->labels, true};
    s->as.each.fn(s->as.each.data, &to);
    return to.ok;
}

static bool render_series(struct buf *out, const struct family *f, const struct series *s)
{
    if (f->type == HISTOGRAM) return render_histogram(out, f->name, s);
    if (f->type == GAUGE_EACH) return render_each(out, f->name, s);
    bool ok = add_name(out, f->name, "", s->labels, NULL);
    switch (f->type) {
    case COUNTER: ok = ok && buf_add_u64(out, s->as.counter); break;
    case GAUGE: ok = ok && buf_add_i64(out, s->as.gauge); break;
    case COUNTER_FN:
    case GAUGE_FN: ok = ok && add_number(out, s->as.asked.fn(s->as.asked.data)); break;
    case GAUGE_EACH:
    case HISTOGRAM:
    case FAMILY_TYPE_COUNT: break;
    }
    return ok && buf_add_char(out, '\n');
}

bool metrics_render(struct buf *out)
{
    for (const struct family *f = registry.first; f; f = f->next) {
        if (!buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, type_names[f->type]))
            return false;
        for (const struct series *s = f->first; s; s = s->next)
            if (!render_series(out, f, s)) return false;
    }
    return true;
}

void metrics_release(void)
{
    for (struct family *f = registry.first, *next; f; f = next) {
        for (struct series *s = f->first, *after; s; s = after) {
            after = s->next;
            free(s->labels);
            free(s);
        }
        next = f->next;
        free(f);
    }
    registry.first = NULL;
    registry.last = NULL;
}
