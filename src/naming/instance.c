#include "naming/instance.h"

#include <string.h>

#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "naming/naming_digest.h"

/* Room for what is not the instance's own text; more is found when it is needed. */
#define INSTANCE_JSON_HINT 512

/* The pair of key; NULL when absent. An empty value may have no data: only the pair tells. */
static const struct instance_pair *pair_find(const struct instance_pair *pairs, size_t count,
                                             struct span key)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(pairs[i].key, key)) {
            return &pairs[i];
        }
    }
    return NULL;
}

int64_t instance_data_millis(const struct instance_data *d, const char *key, int64_t dflt)
{
    const struct instance_pair *pair = pair_find(d->metadata, d->metadata_count, span_str(key));
    struct span text = pair ? pair->value : (struct span){0};
    long long ms = 0;
    /* ^\d+$ in Nacos: no sign. */
    bool is_number = text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9';
    return is_number && span_int(text, &ms) ? ms : dflt;
}

static void put_metadata(struct json_out *j, const struct instance_data *d)
{
    json_key(j, "metadata");
    json_object(j);
    for (size_t i = 0; i < d->metadata_count; i++) {
        json_key_span(j, d->metadata[i].key);
        json_str(j, d->metadata[i].value);
    }
    json_object_end(j);
}

/* The getters of Instance.java that Jackson writes as if they were fields. */
static void put_getters(struct json_out *j, const struct instance_data *d)
{
    json_kint(j, "instanceHeartBeatInterval",
              instance_data_millis(d, "preserved.heart.beat.interval", 5000));
    json_kint(j, "instanceHeartBeatTimeOut",
              instance_data_millis(d, "preserved.heart.beat.timeout", 15000));
    json_kint(j, "ipDeleteTimeout", instance_data_millis(d, "preserved.ip.delete.timeout", 30000));
    const struct instance_pair *generator =
        pair_find(d->metadata, d->metadata_count, SPAN("preserved.instance.id.generator"));
    if (d->metadata_count == 0) {
        json_kstr(j, "instanceIdGenerator", SPAN("simple"));
    } else if (generator) {
        json_kstr(j, "instanceIdGenerator", generator->value);
    }
}

/* Returns where "healthy"'s value begins. */
static size_t put_instance(struct json_out *j, const struct instance_data *d, struct span grouped)
{
    json_object(j);
    if (!span_empty(d->instance_id)) {
        json_kstr(j, "instanceId", d->instance_id);
    }
    json_kstr(j, "ip", d->ip);
    json_kint(j, "port", d->port);
    json_kdouble(j, "weight", d->weight);
    json_key(j, "healthy");
    size_t healthy_off = json_text(j).len;
    json_bool(j, d->healthy);
    json_kbool(j, "enabled", d->enabled);
    json_kbool(j, "ephemeral", d->ephemeral);
    json_kstr(j, "clusterName", d->cluster);
    json_kstr(j, "serviceName", grouped);
    put_metadata(j, d);
    put_getters(j, d);
    json_object_end(j);
    return healthy_off;
}

static size_t texts_len(const struct instance_data *d, struct span client)
{
    size_t len = d->ip.len + d->cluster.len + d->instance_id.len + client.len;
    for (size_t i = 0; i < d->metadata_count; i++) {
        len += d->metadata[i].key.len + d->metadata[i].value.len;
    }
    return len;
}

/* A copy at *at, which moves behind it. An empty text keeps a pointer, so that it differs from an
 * absent one. */
static struct span keep(char **at, struct span s)
{
    char *copy = *at;
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    *at += s.len;
    return span_of(copy, s.len);
}

struct instance *instance_create(const struct instance_data *data, struct span grouped,
                                 struct span client)
{
    ASSERT(data->port >= 0 && data->port <= UINT16_MAX);
    ASSERT(data->metadata_count <= (size_t)2 * INSTANCE_METADATA_MAX);
    struct json_out j;
    json_init(&j, INSTANCE_JSON_HINT + grouped.len);
    size_t healthy_off = put_instance(&j, data, grouped);
    struct span json = json_text(&j);

    size_t pairs_size = data->metadata_count * sizeof(struct instance_pair);
    struct instance *i = mem_alloc(sizeof *i + pairs_size + texts_len(data, client) + json.len);
    struct instance_pair *pairs = (struct instance_pair *)(void *)(i + 1);
    char *at = (char *)pairs + pairs_size;
    atomic_init(&i->refs, 1);
    i->port = (uint16_t)data->port;
    i->healthy = data->healthy;
    i->enabled = data->enabled;
    i->ephemeral = data->ephemeral;
    i->weight = data->weight;
    i->ip = keep(&at, data->ip);
    i->cluster = keep(&at, data->cluster);
    i->instance_id = keep(&at, data->instance_id);
    i->client = keep(&at, client);
    for (size_t p = 0; p < data->metadata_count; p++) {
        pairs[p].key = keep(&at, data->metadata[p].key);
        pairs[p].value = keep(&at, data->metadata[p].value);
    }
    i->metadata = pairs;
    i->metadata_count = data->metadata_count;
    i->json = keep(&at, json);
    i->healthy_off = healthy_off;
    i->digest = naming_piece_instance(i);
    json_close(&j);
    return i;
}

struct instance_data instance_as_data(const struct instance *i)
{
    return (struct instance_data){
        .ip = i->ip,
        .cluster = i->cluster,
        .instance_id = i->instance_id,
        .metadata = i->metadata,
        .metadata_count = i->metadata_count,
        .weight = i->weight,
        .port = i->port,
        .healthy = i->healthy,
        .enabled = i->enabled,
        .ephemeral = i->ephemeral,
    };
}

struct instance *instance_ref(struct instance *i)
{
    unsigned before = atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    ASSERT(before < UINT32_MAX);
    return i;
}

void instance_unref(struct instance *i)
{
    if (!i) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        mem_free(i);
    }
}

struct span instance_metadata(const struct instance *i, const char *key)
{
    const struct instance_pair *pair = pair_find(i->metadata, i->metadata_count, span_str(key));
    return pair ? pair->value : (struct span){0};
}

struct span instance_id_simple(const struct instance_data *d, struct span raw_cluster,
                               struct span grouped, struct arena *arena)
{
    struct span cluster = raw_cluster.data ? raw_cluster : SPAN("null");
    return arena_printf(arena, "%.*s#%d#%.*s#%.*s", SPAN_ARG(d->ip), (int)d->port,
                        SPAN_ARG(cluster), SPAN_ARG(grouped));
}
