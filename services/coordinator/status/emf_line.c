#include "coordinator/status/emf_line.h"

static const struct {
    const char *name;
    size_t offset;
} metrics[] = {
    {"queued_items", offsetof(struct emf_demand, queued_items)},
    {"in_flight_items", offsetof(struct emf_demand, in_flight_items)},
    {"demand_items", offsetof(struct emf_demand, demand_items)},
    {"demand_slots", offsetof(struct emf_demand, demand_slots)},
    {"unserved_slots", offsetof(struct emf_demand, unserved_slots)},
    {"slots", offsetof(struct emf_demand, slots)},
    {"jobs_running", offsetof(struct emf_demand, jobs_running)},
};
static_assert(ARRAY_SIZE(metrics) == sizeof(struct emf_demand) / sizeof(uint64_t), "one name per number");

bool emf_dimension_ok(const char *text)
{
    size_t len = strlen(text), blank = strspn(text, " ");
    if (len == 0 || len > EMF_DIMENSION_BYTES || blank == len || text[0] == ':') return false;
    for (; *text; text++)
        if (*text < ' ' || *text > '~') return false;
    return true;
}

static void add_directive(struct buf *out)
{
    buf_add_str(out, "{\"Namespace\":\"fantail\",\"Dimensions\":[[\"cluster\",\"service\"]],\"Metrics\":[");
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
        buf_addf(out, "%s{\"Name\":\"%s\",\"Unit\":\"Count\",\"StorageResolution\":1}", i ? "," : "", metrics[i].name);
    buf_add_str(out, "]}");
}

static void add_dimension(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_string(out, value, strlen(value));
}

void emf_write_line(struct buf *out, const char *cluster, const char *service, uint64_t unix_ms,
                    const struct emf_demand *demand)
{
    buf_addf(out, "{\"_aws\":{\"Timestamp\":%llu,\"CloudWatchMetrics\":[", (unsigned long long)unix_ms);
    add_directive(out);
    buf_add_str(out, "]}");
    add_dimension(out, "cluster", cluster);
    add_dimension(out, "service", service);
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
        uint64_t value;
        memcpy(&value, (const char *)demand + metrics[i].offset, sizeof value);
        buf_addf(out, ",\"%s\":%llu", metrics[i].name, (unsigned long long)value);
    }
    buf_add_str(out, "}\n");
}

uint64_t emf_tick(uint64_t unix_ms, uint64_t period_ms)
{
    return unix_ms - unix_ms % period_ms;
}
