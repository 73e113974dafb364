#include "rpc/types.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <uthash.h>

static const struct {
    const char *name;
    enum type_kind kind;
} OWN[] = {
    {"ServerCheckRequest", TYPE_SERVER_CHECK},
    {"HealthCheckRequest", TYPE_HEALTH_CHECK},
    {"MemberReportRequest", TYPE_CLUSTER_ONLY},
    {"DistroDataRequest", TYPE_CLUSTER_ONLY},
    {"ConfigChangeClusterSyncRequest", TYPE_CLUSTER_ONLY},
    {"ServerLoaderInfoRequest", TYPE_CLUSTER_ONLY},
    {"ServerReloadRequest", TYPE_CLUSTER_ONLY},
};

struct named {
    struct type type;
    const char *name;
    UT_hash_handle hh;
};

struct types {
    struct named *map;
    struct named *list;
    size_t count;
    struct rpc_row_stats *stats;
    size_t stats_count;
};

static void add(struct types *t, const char *name, struct type type)
{
    ASSERT(!types_find(t, span_str(name)));
    struct named *n = &t->list[t->count++];
    n->name = name;
    n->type = type;
    if (type.kind != TYPE_CLUSTER_ONLY) {
        n->type.stats = &t->stats[t->stats_count++];
        n->type.stats->type = name;
    }
    HASH_ADD_KEYPTR(hh, t->map, name, (unsigned)strlen(name), n);
}

struct types *types_create(const struct api_rows *features, size_t count)
{
    size_t total = ARRAY_LEN(OWN);
    for (size_t i = 0; i < count; i++) {
        total += features[i].rpc_count;
    }
    struct types *t = mem_zalloc(1, sizeof(*t));
    t->list = mem_zalloc(total, sizeof(*t->list));
    t->stats = mem_zalloc(total, sizeof(*t->stats));
    for (size_t i = 0; i < ARRAY_LEN(OWN); i++) {
        add(t, OWN[i].name, (struct type){.kind = OWN[i].kind});
    }
    for (size_t i = 0; i < count; i++) {
        const struct api_rows *feature = &features[i];
        for (size_t k = 0; k < feature->rpc_count; k++) {
            add(t, feature->rpc[k].name,
                (struct type){.kind = TYPE_ROW,
                              .row = &feature->rpc[k],
                              .read_self = feature->read_self,
                              .admit_self = feature->admit_self});
        }
    }
    return t;
}

void types_destroy(struct types *t)
{
    if (!t) {
        return;
    }
    HASH_CLEAR(hh, t->map);
    mem_free(t->list);
    mem_free(t->stats);
    mem_free(t);
}

const struct type *types_find(const struct types *t, struct span name)
{
    struct named *n = NULL;
    if (!span_empty(name)) {
        HASH_FIND(hh, t->map, name.data, (unsigned)name.len, n);
    }
    return n ? &n->type : NULL;
}

void type_count(const struct type *type, bool ok, uint64_t nanos)
{
    if (!type->stats) {
        return;
    }
    atomic_fetch_add_explicit(ok ? &type->stats->ok : &type->stats->failed, 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&type->stats->nanos, nanos, memory_order_relaxed);
}

const struct rpc_row_stats *types_stats(const struct types *t, size_t *ret_count)
{
    *ret_count = t->stats_count;
    return t->stats;
}
