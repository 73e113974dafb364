#include "naming/naming_pack.h"

ProtobufCBinaryData naming_pack_span(struct span s)
{
    union {
        const char *from;
        uint8_t *to;
    } cast = {.from = s.data};
    return (ProtobufCBinaryData){.len = s.len, .data = cast.to};
}

struct span naming_unpack_span(ProtobufCBinaryData d)
{
    return span_of((const char *)d.data, d.len);
}

Nacre__ServiceName naming_pack_name(const struct service_name *n)
{
    Nacre__ServiceName m = NACRE__SERVICE_NAME__INIT;
    m.namespace_ = naming_pack_span(n->namespace_id);
    m.group = naming_pack_span(n->group);
    m.name = naming_pack_span(n->name);
    return m;
}

struct service_name naming_unpack_name(const Nacre__ServiceName *m)
{
    if (!m) {
        return (struct service_name){0};
    }
    return (struct service_name){naming_unpack_span(m->namespace_), naming_unpack_span(m->group),
                                 naming_unpack_span(m->name)};
}

Nacre__Pair **naming_pack_pairs(const struct instance_pair *pairs, size_t count,
                                struct arena *arena)
{
    Nacre__Pair **list = arena_alloc(arena, (count + 1) * sizeof(*list));
    Nacre__Pair *items = arena_alloc(arena, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        nacre__pair__init(&items[i]);
        items[i].key = naming_pack_span(pairs[i].key);
        items[i].value = naming_pack_span(pairs[i].value);
        list[i] = &items[i];
    }
    return list;
}

const struct instance_pair *naming_unpack_pairs(Nacre__Pair **list, size_t count,
                                                struct arena *arena)
{
    struct instance_pair *pairs = arena_try(arena, (count + 1) * sizeof(*pairs));
    for (size_t i = 0; pairs && i < count; i++) {
        pairs[i] = (struct instance_pair){naming_unpack_span(list[i]->key),
                                          naming_unpack_span(list[i]->value)};
    }
    return pairs;
}

void naming_pack_instance(Nacre__Instance *m, const struct instance_data *d, struct arena *arena)
{
    nacre__instance__init(m);
    m->ip = naming_pack_span(d->ip);
    m->port = (uint32_t)d->port;
    m->cluster = naming_pack_span(d->cluster);
    m->instance_id = naming_pack_span(d->instance_id);
    m->weight = d->weight;
    m->healthy = d->healthy;
    m->enabled = d->enabled;
    m->n_metadata = d->metadata_count;
    m->metadata = naming_pack_pairs(d->metadata, d->metadata_count, arena);
}

int naming_unpack_instance(const Nacre__Instance *m, bool ephemeral, struct arena *arena,
                           struct instance_data *ret)
{
    const struct instance_pair *pairs = naming_unpack_pairs(m->metadata, m->n_metadata, arena);
    if (!pairs) {
        return E_LIMIT;
    }
    *ret = (struct instance_data){
        .ip = naming_unpack_span(m->ip),
        .cluster = naming_unpack_span(m->cluster),
        .instance_id = naming_unpack_span(m->instance_id),
        .port = m->port,
        .weight = m->weight,
        .healthy = m->healthy,
        .enabled = m->enabled,
        .ephemeral = ephemeral,
        .metadata = pairs,
        .metadata_count = m->n_metadata,
    };
    return 0;
}

static void *arena_take(void *arena, size_t size)
{
    return arena_try(arena, size);
}

static void arena_keep(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

ProtobufCAllocator naming_pack_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){arena_take, arena_keep, arena};
}
