/* Collect and write; naming_snapshot_load.c reads. */
#include "naming/naming_snapshot.h"

#include <endian.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/naming_pack.h"
#include "naming/state.h"
#include "naming_snapshot.pb-c.h"

/* What is handed to the sink at once. */
#define OUT_BYTES (1u << 20)
#define HEADER_BYTES (2 * sizeof(uint32_t))
/* A message is closed when it has this many bytes of lists (about), or this many items of one. The
 * last item, a record and its removals may come on top: far below OUT_BYTES. */
#define PART_BYTES (64u << 10)
#define PART_ITEMS 1024u

struct snap_client {
    struct span id;
    enum client_kind kind;
    int64_t updated_ms;
    uint64_t owner;
};

struct snap_removal {
    int64_t time_ms;
    enum removal_reason reason;
    struct span what;
    struct span client;
};

struct snap_overlay {
    struct instance_data address;
    bool has_weight;
    bool has_enabled;
    int64_t unused_since_ms;
};

struct snap_publication {
    int64_t time_ms;
    uint32_t client; /* place in clients */
    bool batch;
};

struct snap_entry {
    struct instance *instance; /* a reference */
    uint32_t publication;
    uint32_t order;
    bool hidden;
};

/* A service that exists; lists live in the arena. */
struct snap_service {
    struct service_name name;
    bool ephemeral;
    bool has_record;
    double protect_threshold;
    const struct instance_pair *metadata;
    size_t metadata_count;
    struct span selector;
    uint64_t revision;
    int64_t updated_ms;
    unsigned removals_count; /* all of them; the last removals_kept are here, oldest first */
    size_t removals_kept;
    struct snap_removal *removals;
    struct snap_overlay *overlays;
    size_t overlay_count;
    struct snap_publication *publications;
    size_t publication_count;
    struct snap_entry *entries;
    size_t entry_count;
};

struct naming_snapshot {
    struct arena arena;
    struct snap_client *clients;
    size_t client_count;
    struct snap_service *services;
    size_t service_count;
    size_t entry_count;
};

static struct span keep(struct arena *arena, struct span s)
{
    return s.len > 0 ? arena_span(arena, s) : (struct span){0};
}

/* A service's name stands in one block: namespace, group, name. */
static struct service_name keep_name(struct arena *arena, const struct service_name *n)
{
    size_t len = n->namespace_id.len + n->group.len + n->name.len;
    const char *at = arena_span(arena, span_of(n->namespace_id.data, len)).data;
    return (struct service_name){
        span_of(at, n->namespace_id.len),
        span_of(at + n->namespace_id.len, n->group.len),
        span_of(at + n->namespace_id.len + n->group.len, n->name.len),
    };
}

static const struct instance_pair *keep_pairs(struct arena *arena, const struct instance_pair *from,
                                              size_t count)
{
    struct instance_pair *copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = (struct instance_pair){keep(arena, from[i].key), keep(arena, from[i].value)};
    }
    return copy;
}

/* Those who publish; the others are this node's own. */
static void collect_clients(struct naming_snapshot *snap, struct naming *n)
{
    snap->clients = mem_alloc((HASH_COUNT(n->clients) + 1) * sizeof(*snap->clients));
    for (struct client *c = n->clients; c; c = c->hh.next) {
        if (c->publication_count == 0) {
            continue;
        }
        c->mark = (uint32_t)snap->client_count;
        snap->clients[snap->client_count++] = (struct snap_client){
            keep(&snap->arena, span_of(c->id, c->id_len)), c->kind, c->updated_ms, c->owner};
    }
}

static void collect_removals(struct arena *arena, struct snap_service *to, const struct service *s)
{
    unsigned count = s->removals_count;
    unsigned kept = count < SERVICE_REMOVALS_KEPT ? count : SERVICE_REMOVALS_KEPT;
    to->removals_count = count;
    to->removals_kept = kept;
    if (kept == 0) {
        return;
    }
    to->removals = arena_alloc(arena, kept * sizeof(*to->removals));
    for (unsigned i = 0; i < kept; i++) {
        const struct removal *r = &s->removals[(count - kept + i) % SERVICE_REMOVALS_KEPT];
        to->removals[i] =
            (struct snap_removal){r->time_ms, r->reason, keep(arena, span_str(r->what)),
                                  keep(arena, span_str(r->client))};
    }
}

static void collect_overlay(struct arena *arena, struct snap_overlay *to,
                            const struct instance_slot *slot)
{
    const struct overlay *o = slot->overlay;
    struct instance_data *a = &to->address;
    uint16_t port = 0;
    instance_slot_address(slot, &a->ip, &port, &a->cluster);
    a->ip = keep(arena, a->ip);
    a->port = port;
    a->cluster = keep(arena, a->cluster);
    a->weight = o->weight;
    a->enabled = o->enabled;
    a->metadata = keep_pairs(arena, o->metadata, o->metadata_count);
    a->metadata_count = o->metadata_count;
    to->has_weight = o->has_weight;
    to->has_enabled = o->has_enabled;
    to->unused_since_ms = o->unused_since_ms;
}

static void collect_overlays(struct arena *arena, struct snap_service *to, const struct service *s)
{
    if (s->overlay_count == 0) {
        return;
    }
    to->overlays = arena_alloc(arena, s->overlay_count * sizeof(*to->overlays));
    for (const struct instance_slot *slot = s->slots; slot; slot = slot->hh.next) {
        if (slot->overlay) {
            collect_overlay(arena, &to->overlays[to->overlay_count++], slot);
        }
    }
}

/* The marks that entries refer to are set on the way. */
static void collect_publications(struct arena *arena, struct snap_service *to, struct service *s)
{
    if (s->publication_count == 0) {
        return;
    }
    to->publications = arena_alloc(arena, s->publication_count * sizeof(*to->publications));
    for (struct publication *p = s->publications; p; p = p->service_next) {
        p->mark = (uint32_t)to->publication_count;
        to->publications[to->publication_count++] =
            (struct snap_publication){p->time_ms, p->client->mark, p->batch};
        uint32_t order = 0;
        for (struct entry *e = p->entries; e; e = e->next) {
            e->mark = order++;
        }
        to->entry_count += p->count;
    }
}

static void collect_entries(struct arena *arena, struct snap_service *to, const struct service *s)
{
    if (to->entry_count == 0) {
        return;
    }
    to->entries = arena_alloc(arena, to->entry_count * sizeof(*to->entries));
    size_t at = 0;
    for (size_t i = 0; i < s->shown_count; i++) {
        for (const struct entry *e = s->shown[i]; e; e = e->key_older) {
            to->entries[at++] = (struct snap_entry){
                instance_ref(e->published), e->publication->mark, e->mark, e != s->shown[i]};
        }
    }
    ASSERT(at == to->entry_count);
}

static void collect_service(struct arena *arena, struct snap_service *to, struct service *s)
{
    to->name = keep_name(arena, &s->name);
    to->ephemeral = s->ephemeral;
    to->has_record = s->has_record;
    to->protect_threshold = s->protect_threshold;
    if (s->metadata_count > 0) {
        to->metadata = keep_pairs(arena, s->metadata, s->metadata_count);
        to->metadata_count = s->metadata_count;
    }
    to->selector = keep(arena, span_str(s->selector));
    to->revision = s->revision;
    to->updated_ms = s->updated_ms;
    collect_removals(arena, to, s);
    collect_overlays(arena, to, s);
    collect_publications(arena, to, s);
    collect_entries(arena, to, s);
}

struct naming_snapshot *naming_snapshot_collect(struct naming *n)
{
    ASSERT_ON(THREAD_CORE);
    struct naming_snapshot *snap = mem_zalloc(1, sizeof(*snap));
    arena_init(&snap->arena, SIZE_MAX / 2);
    collect_clients(snap, n);
    snap->services = mem_zalloc(n->service_count + 1, sizeof(*snap->services));
    for (struct service *s = n->services; s; s = s->hh.next) {
        if (s->exists) {
            struct snap_service *to = &snap->services[snap->service_count++];
            collect_service(&snap->arena, to, s);
            snap->entry_count += to->entry_count;
        }
    }
    return snap;
}

void naming_snapshot_free(struct naming_snapshot *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->service_count; i++) {
        for (size_t e = 0; e < s->services[i].entry_count; e++) {
            instance_unref(s->services[i].entries[e].instance);
        }
    }
    mem_free(s->services);
    mem_free(s->clients);
    arena_close(&s->arena);
    mem_free(s);
}

struct writer {
    const struct naming_snapshot *from;
    const struct byte_sink *sink;
    struct fail *fail;
    struct arena arena;                   /* of one message */
    const struct snap_client **clients;   /* by id */
    uint32_t *client_places;              /* of a collected client among them */
    const struct snap_service **services; /* by name */
    char *out;
    size_t used;
};

static int client_cmp(const void *a, const void *b)
{
    return span_cmp((*(const struct snap_client *const *)a)->id,
                    (*(const struct snap_client *const *)b)->id);
}

static int service_cmp(const void *a, const void *b)
{
    const struct service_name *x = &(*(const struct snap_service *const *)a)->name;
    const struct service_name *y = &(*(const struct snap_service *const *)b)->name;
    int order = span_cmp(x->namespace_id, y->namespace_id);
    order = order ? order : span_cmp(x->group, y->group);
    return order ? order : span_cmp(x->name, y->name);
}

static int overlay_cmp(const void *a, const void *b)
{
    const struct instance_data *x = &(*(const struct snap_overlay *const *)a)->address;
    const struct instance_data *y = &(*(const struct snap_overlay *const *)b)->address;
    int order = span_cmp(x->ip, y->ip);
    order = order ? order : (x->port > y->port) - (x->port < y->port);
    return order ? order : span_cmp(x->cluster, y->cluster);
}

/* Here and not when it is collected: core does not wait for it. */
static void writer_sort(struct writer *w)
{
    const struct naming_snapshot *s = w->from;
    w->clients = mem_alloc((s->client_count + 1) * sizeof(struct snap_client *));
    w->client_places = mem_alloc((s->client_count + 1) * sizeof(*w->client_places));
    for (size_t i = 0; i < s->client_count; i++) {
        w->clients[i] = &s->clients[i];
    }
    qsort(w->clients, s->client_count, sizeof(struct snap_client *), client_cmp);
    for (size_t i = 0; i < s->client_count; i++) {
        w->client_places[w->clients[i] - s->clients] = (uint32_t)i;
    }
    w->services = mem_alloc((s->service_count + 1) * sizeof(struct snap_service *));
    for (size_t i = 0; i < s->service_count; i++) {
        w->services[i] = &s->services[i];
    }
    qsort(w->services, s->service_count, sizeof(struct snap_service *), service_cmp);
}

static int writer_flush(struct writer *w)
{
    size_t len = w->used;
    w->used = 0;
    return len > 0 ? w->sink->write(w->sink->self, span_of(w->out, len), w->fail) : 0;
}

static void put_u32(struct writer *w, uint32_t n)
{
    uint32_t wire = htole32(n);
    memcpy(w->out + w->used, &wire, sizeof(wire));
    w->used += sizeof(wire);
}

/* One message behind its header; what it was made of is gone afterwards. */
static int put_message(struct writer *w, Nacre__SnapshotKind kind, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    ASSERT(len <= OUT_BYTES - HEADER_BYTES);
    int err = w->used + HEADER_BYTES + len > OUT_BYTES ? writer_flush(w) : 0;
    if (err) {
        return err;
    }
    put_u32(w, (uint32_t)kind);
    put_u32(w, (uint32_t)len);
    w->used += protobuf_c_message_pack(m, (uint8_t *)w->out + w->used);
    arena_reset(&w->arena);
    return 0;
}

static int write_clients(struct writer *w)
{
    int err = 0;
    for (size_t at = 0; !err && at < w->from->client_count;) {
        size_t left = w->from->client_count - at;
        size_t count = left < PART_ITEMS ? left : PART_ITEMS;
        Nacre__SnapshotClients m = NACRE__SNAPSHOT_CLIENTS__INIT;
        Nacre__SnapshotClient *items = arena_alloc(&w->arena, count * sizeof(*items));
        m.clients = arena_alloc(&w->arena, count * sizeof(*m.clients));
        m.n_clients = count;
        for (size_t i = 0; i < count; i++, at++) {
            nacre__snapshot_client__init(&items[i]);
            items[i].id = naming_pack_span(w->clients[at]->id);
            items[i].kind = (uint32_t)w->clients[at]->kind;
            items[i].updated_ms = w->clients[at]->updated_ms;
            items[i].owner = w->clients[at]->owner;
            m.clients[i] = &items[i];
        }
        err = put_message(w, NACRE__SNAPSHOT_KIND__CLIENTS, &m.base);
    }
    return err;
}

static void pack_head(struct writer *w, Nacre__SnapshotService *m, const struct snap_service *s)
{
    Nacre__ServiceName *name = arena_alloc(&w->arena, sizeof(*name));
    *name = naming_pack_name(&s->name);
    m->name = name;
    m->ephemeral = s->ephemeral;
    m->has_record = s->has_record;
    m->protect_threshold = s->protect_threshold;
    m->n_metadata = s->metadata_count;
    m->metadata = naming_pack_pairs(s->metadata, s->metadata_count, &w->arena);
    m->selector = naming_pack_span(s->selector);
    m->revision = s->revision;
    m->updated_ms = s->updated_ms;
    m->removals_count = s->removals_count;
    m->n_removals = s->removals_kept;
    m->removals = arena_alloc(&w->arena, (s->removals_kept + 1) * sizeof(*m->removals));
    for (size_t i = 0; i < s->removals_kept; i++) {
        Nacre__SnapshotRemoval *r = arena_alloc(&w->arena, sizeof(*r));
        nacre__snapshot_removal__init(r);
        r->time_ms = s->removals[i].time_ms;
        r->reason = (uint32_t)s->removals[i].reason;
        r->what = naming_pack_span(s->removals[i].what);
        r->client = naming_pack_span(s->removals[i].client);
        m->removals[i] = r;
    }
}

static size_t pairs_bytes(const struct instance_pair *pairs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += pairs[i].key.len + pairs[i].value.len + sizeof(pairs[i]);
    }
    return bytes;
}

/* What is left of a service's lists, and the room in its current message. */
struct part {
    const struct snap_service *service;
    const struct snap_overlay **overlays; /* sorted */
    size_t overlay, publication, entry;   /* the next ones */
    size_t bytes;
};

static size_t part_items(const struct part *p, size_t left)
{
    if (p->bytes >= PART_BYTES) {
        return 0;
    }
    return left < PART_ITEMS ? left : PART_ITEMS;
}

static void pack_overlays(struct writer *w, Nacre__SnapshotService *m, struct part *p)
{
    size_t max = part_items(p, p->service->overlay_count - p->overlay);
    m->overlays = arena_alloc(&w->arena, (max + 1) * sizeof(*m->overlays));
    while (m->n_overlays < max && p->bytes < PART_BYTES) {
        const struct snap_overlay *from = p->overlays[p->overlay++];
        const struct instance_data *a = &from->address;
        Nacre__SnapshotOverlay *o = arena_alloc(&w->arena, sizeof(*o));
        nacre__snapshot_overlay__init(o);
        o->ip = naming_pack_span(a->ip);
        o->port = (uint32_t)a->port;
        o->cluster = naming_pack_span(a->cluster);
        o->has_weight = from->has_weight;
        o->weight = a->weight;
        o->has_enabled = from->has_enabled;
        o->enabled = a->enabled;
        o->n_metadata = a->metadata_count;
        o->metadata = naming_pack_pairs(a->metadata, a->metadata_count, &w->arena);
        o->unused_since_ms = from->unused_since_ms;
        m->overlays[m->n_overlays++] = o;
        p->bytes += sizeof(*o) + pairs_bytes(a->metadata, a->metadata_count);
    }
}

static void pack_publications(struct writer *w, Nacre__SnapshotService *m, struct part *p)
{
    const struct snap_service *s = p->service;
    size_t max =
        p->overlay < s->overlay_count ? 0 : part_items(p, s->publication_count - p->publication);
    m->publications = arena_alloc(&w->arena, (max + 1) * sizeof(*m->publications));
    while (m->n_publications < max && p->bytes < PART_BYTES) {
        const struct snap_publication *from = &s->publications[p->publication++];
        Nacre__SnapshotPublication *to = arena_alloc(&w->arena, sizeof(*to));
        nacre__snapshot_publication__init(to);
        to->client = w->client_places[from->client];
        to->batch = from->batch;
        to->time_ms = from->time_ms;
        m->publications[m->n_publications++] = to;
        p->bytes += sizeof(*from);
    }
}

static void pack_entries(struct writer *w, Nacre__SnapshotService *m, struct part *p)
{
    const struct snap_service *s = p->service;
    size_t max =
        p->publication < s->publication_count ? 0 : part_items(p, s->entry_count - p->entry);
    m->entries = arena_alloc(&w->arena, (max + 1) * sizeof(*m->entries));
    while (m->n_entries < max && p->bytes < PART_BYTES) {
        const struct snap_entry *from = &s->entries[p->entry++];
        struct instance_data d = instance_as_data(from->instance);
        Nacre__SnapshotEntry *to = arena_alloc(&w->arena, sizeof(*to));
        nacre__snapshot_entry__init(to);
        to->publication = from->publication;
        to->order = from->order;
        to->hidden = from->hidden;
        to->instance = arena_alloc(&w->arena, sizeof(*to->instance));
        naming_pack_instance(to->instance, &d, &w->arena);
        m->entries[m->n_entries++] = to;
        p->bytes += sizeof(*from) + d.ip.len + d.cluster.len + d.instance_id.len +
                    pairs_bytes(d.metadata, d.metadata_count);
    }
}

static int write_service(struct writer *w, const struct snap_service *s)
{
    struct part p = {.service = s};
    p.overlays = mem_alloc((s->overlay_count + 1) * sizeof(struct snap_overlay *));
    for (size_t i = 0; i < s->overlay_count; i++) {
        p.overlays[i] = &s->overlays[i];
    }
    qsort(p.overlays, s->overlay_count, sizeof(struct snap_overlay *), overlay_cmp);
    Nacre__SnapshotKind kind = NACRE__SNAPSHOT_KIND__SERVICE;
    int err = 0;
    do {
        Nacre__SnapshotService m = NACRE__SNAPSHOT_SERVICE__INIT;
        if (kind == NACRE__SNAPSHOT_KIND__SERVICE) {
            pack_head(w, &m, s);
        }
        p.bytes = 0;
        pack_overlays(w, &m, &p);
        pack_publications(w, &m, &p);
        pack_entries(w, &m, &p);
        err = put_message(w, kind, &m.base);
        kind = NACRE__SNAPSHOT_KIND__MORE;
    } while (!err && (p.overlay < s->overlay_count || p.publication < s->publication_count ||
                      p.entry < s->entry_count));
    mem_free(p.overlays);
    return err;
}

static int write_end(struct writer *w)
{
    Nacre__SnapshotEnd m = NACRE__SNAPSHOT_END__INIT;
    m.clients = w->from->client_count;
    m.services = w->from->service_count;
    m.entries = w->from->entry_count;
    int err = put_message(w, NACRE__SNAPSHOT_KIND__END, &m.base);
    return err ? err : writer_flush(w);
}

int naming_snapshot_write(const struct naming_snapshot *s, const struct byte_sink *sink,
                          struct fail *fail)
{
    struct writer w = {.from = s, .sink = sink, .fail = fail, .out = mem_alloc(OUT_BYTES)};
    arena_init(&w.arena, SIZE_MAX / 2);
    writer_sort(&w);
    put_u32(&w, NAMING_SNAPSHOT_MAGIC);
    put_u32(&w, NAMING_SNAPSHOT_VERSION);
    int err = write_clients(&w);
    for (size_t i = 0; !err && i < s->service_count; i++) {
        err = write_service(&w, w.services[i]);
    }
    if (!err) {
        err = write_end(&w);
    }
    mem_free(w.services);
    mem_free(w.client_places);
    mem_free(w.clients);
    mem_free(w.out);
    arena_close(&w.arena);
    return err;
}
