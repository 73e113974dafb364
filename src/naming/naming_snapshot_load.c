/* A snapshot becomes the state. Its bytes may be anything: whatever breaks a rule of the state is
 * E_PARSE. */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>

#include <utlist.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/naming_digest.h"
#include "naming/naming_op.h"
#include "naming/naming_pack.h"
#include "naming/naming_snapshot.h"
#include "naming/overlay.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/restore.h"
#include "naming/state.h"
#include "naming_snapshot.pb-c.h"

/* What one message may become in memory. */
#define LOAD_ARENA_MAX (256u << 20)
#define WHY_MAX 200

struct loader {
    struct naming *n;
    const struct byte_source *source;
    struct fail *fail;
    struct arena arena; /* of one message */
    char *bytes;        /* of the message, grows */
    size_t bytes_cap;
    uint64_t messages;
    struct client **clients; /* by place */
    size_t client_count, client_cap;
    struct service *service;           /* MORE and the lists are its */
    struct publication **publications; /* of service, by place */
    size_t publication_count, publication_cap;
    struct entry *last; /* the entry before, of the same service */
    uint64_t services, entries;
};

static int damaged(struct loader *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int damaged(struct loader *l, const char *fmt, ...)
{
    char why[WHY_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    return fail_set(l->fail, E_PARSE, "snapshot of the registry, message %llu: %s",
                    (unsigned long long)l->messages, why);
}

/* Room for one more pointer. */
static void *more(void *list, size_t count, size_t *cap)
{
    if (count < *cap) {
        return list;
    }
    *cap = *cap ? *cap * 2 : 64;
    return mem_realloc(list, *cap, sizeof(void *));
}

static int load_client(struct loader *l, const Nacre__SnapshotClient *m)
{
    struct span id = naming_unpack_span(m->id);
    struct fail why = {0};
    if (naming_op_check_client(id, &why) != 0) {
        return damaged(l, "%s", fail_text(&why));
    }
    if (m->kind < CLIENT_CONNECTION || m->kind > CLIENT_PERSISTENT) {
        return damaged(l, "kind of client: %u is unknown", m->kind);
    }
    struct client *c = client_obtain(l->n, id, (enum client_kind)m->kind);
    if (c->mark != 0) {
        return damaged(l, "client %.*s stands there twice", SPAN_ARG(id));
    }
    if (c->kind != (enum client_kind)m->kind) {
        return damaged(l, "client %.*s is of kind %d here, not %u", SPAN_ARG(id), (int)c->kind,
                       m->kind);
    }
    if (m->owner != 0 && c->kind == CLIENT_PERSISTENT) {
        return damaged(l, "client %.*s is persistent and has an owner", SPAN_ARG(id));
    }
    c->updated_ms = m->updated_ms;
    c->owner = m->owner;
    l->clients = more(l->clients, l->client_count, &l->client_cap);
    l->clients[l->client_count++] = c;
    c->mark = (uint32_t)l->client_count;
    return 0;
}

static int load_clients(struct loader *l, struct span bytes)
{
    ProtobufCAllocator allocator = naming_pack_allocator(&l->arena);
    const Nacre__SnapshotClients *m =
        nacre__snapshot_clients__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return damaged(l, "no list of clients");
    }
    int err = 0;
    for (size_t i = 0; !err && i < m->n_clients; i++) {
        err = load_client(l, m->clients[i]);
    }
    return err;
}

/* A text of a removal, NUL-terminated in a field of size bytes. */
static bool load_text(char *to, size_t size, ProtobufCBinaryData from)
{
    struct span s = naming_unpack_span(from);
    if (s.len >= size || (s.len > 0 && memchr(s.data, '\0', s.len))) {
        return false;
    }
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    return true;
}

static int load_removals(struct loader *l, struct service *s, const Nacre__SnapshotService *m)
{
    size_t kept =
        m->removals_count < SERVICE_REMOVALS_KEPT ? m->removals_count : SERVICE_REMOVALS_KEPT;
    if (m->n_removals != kept) {
        return damaged(l, "removals: expected %zu, got %zu", kept, m->n_removals);
    }
    size_t cap = 1; /* the ring as apply would have let it grow */
    while (cap < kept) {
        cap *= 2;
    }
    s->removals_count = m->removals_count;
    s->removals = kept ? mem_zalloc(cap, sizeof(*s->removals)) : NULL;
    for (size_t i = 0; i < kept; i++) {
        const Nacre__SnapshotRemoval *from = m->removals[i];
        struct removal *r = &s->removals[(m->removals_count - kept + i) % SERVICE_REMOVALS_KEPT];
        r->time_ms = from->time_ms;
        r->reason = (enum removal_reason)from->reason;
        if (!load_text(r->what, sizeof(r->what), from->what) ||
            !load_text(r->client, sizeof(r->client), from->client)) {
            return damaged(l, "a text of a removal is too long");
        }
    }
    return 0;
}

/* Its values as if an operation brought them. */
static int load_service(struct loader *l, const Nacre__SnapshotService *m)
{
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_PUT,
        .time_ms = m->updated_ms,
        .service = naming_unpack_name(m->name),
        .protect_threshold = m->protect_threshold,
        .metadata = naming_unpack_pairs(m->metadata, m->n_metadata, &l->arena),
        .metadata_count = m->n_metadata,
        .selector = naming_unpack_span(m->selector),
    };
    struct fail why = {0};
    if (!op.metadata) {
        return damaged(l, "too much metadata");
    }
    if (naming_op_check(&op, &why) != 0) {
        return damaged(l, "%s", fail_text(&why));
    }
    struct service *s = service_obtain(l->n, &op.service);
    if (s->exists) {
        return damaged(l, "service %.*s stands there twice", SPAN_ARG(s->grouped));
    }
    service_set_exists(l->n, s, m->ephemeral);
    s->has_record = m->has_record;
    s->protect_threshold = op.protect_threshold;
    s->metadata = overlay_pairs_copy(op.metadata, op.metadata_count);
    s->metadata_count = op.metadata_count;
    s->selector = span_empty(op.selector) ? NULL : mem_strndup(op.selector.data, op.selector.len);
    s->revision = m->revision;
    s->updated_ms = m->updated_ms;
    l->service = s;
    l->publication_count = 0;
    l->last = NULL;
    l->services++;
    return load_removals(l, s, m);
}

static int load_overlay(struct loader *l, const Nacre__SnapshotOverlay *m)
{
    struct service *s = l->service;
    struct naming_op op = {
        .kind = NAMING_OP_OVERLAY,
        .time_ms = s->updated_ms,
        .service = s->name,
        .ip = naming_unpack_span(m->ip),
        .port = (uint16_t)m->port,
        .cluster = naming_unpack_span(m->cluster),
        .has_weight = m->has_weight,
        .weight = m->weight,
        .metadata = naming_unpack_pairs(m->metadata, m->n_metadata, &l->arena),
        .metadata_count = m->n_metadata,
    };
    struct fail why = {0};
    if (!op.metadata || m->port > UINT16_MAX) {
        return damaged(l, "overlay: too much metadata, or the port is out of range");
    }
    if (naming_op_check(&op, &why) != 0) {
        return damaged(l, "overlay: %s", fail_text(&why));
    }
    struct instance_slot *slot = instance_slot_obtain(s, op.ip, op.port, op.cluster);
    if (slot->overlay || slot->newest) {
        return damaged(l, "overlay of %.*s:%u stands there twice or behind its instance",
                       SPAN_ARG(op.ip), (unsigned)op.port);
    }
    struct overlay *o = mem_zalloc(1, sizeof(*o));
    o->has_weight = m->has_weight;
    o->weight = m->has_weight ? m->weight : 0;
    o->has_enabled = m->has_enabled;
    o->enabled = m->has_enabled && m->enabled;
    o->metadata = overlay_pairs_copy(op.metadata, op.metadata_count);
    o->metadata_count = op.metadata_count;
    o->unused_since_ms = m->unused_since_ms;
    slot->overlay = o;
    s->overlay_count++;
    return 0;
}

static int load_publication(struct loader *l, const Nacre__SnapshotPublication *m)
{
    struct service *s = l->service;
    struct client *c = m->client < l->client_count ? l->clients[m->client] : NULL;
    if (!c || publication_find(c, s)) {
        return damaged(l, "publication of client %u, which is unknown or has one", m->client);
    }
    if (m->time_ms <= 0) {
        return damaged(l, "publication: time %lld", (long long)m->time_ms);
    }
    struct publication *p = mem_zalloc(1, sizeof(*p));
    p->client = c;
    p->service = s;
    p->batch = m->batch;
    p->time_ms = m->time_ms;
    HASH_ADD(hh, c->publications, service, sizeof(p->service), p);
    c->publication_count++;
    s->publication_count++;
    if (l->publication_count > 0) {
        p->service_prev = l->publications[l->publication_count - 1];
        p->service_prev->service_next = p;
    } else {
        s->publications = p;
    }
    l->publications = more(l->publications, l->publication_count, &l->publication_cap);
    l->publications[l->publication_count++] = p;
    return 0;
}

/* e, which is on no list yet, takes its place in the chain of its address. */
static int place(struct loader *l, struct entry *e, bool hidden)
{
    struct service *s = l->service;
    struct publication *p = e->publication;
    if (hidden ? !l->last || l->last->slot != e->slot : e->slot->newest != NULL) {
        return damaged(l, "an instance does not belong where it stands");
    }
    if (hidden && p->mark == s->shown_count) {
        return damaged(l, "client %s publishes an address twice", p->client->id);
    }
    if (hidden) {
        e->key_newer = l->last;
        l->last->key_older = e;
    } else {
        e->slot->newest = e;
        instance_unref(e->effective);
        e->effective = overlay_effective(s, e->published, e->slot->overlay);
        service_show(s, e);
    }
    p->mark = (uint32_t)s->shown_count; /* in this chain */
    e->next = p->entries;
    p->entries = e;
    p->count++;
    l->n->instance_count++;
    l->last = e;
    l->entries++;
    return 0;
}

static int load_entry(struct loader *l, const Nacre__SnapshotEntry *m)
{
    struct service *s = l->service;
    struct instance_data d = {0};
    struct fail why = {0};
    if (m->publication >= l->publication_count || !m->instance ||
        naming_unpack_instance(m->instance, s->ephemeral, &l->arena, &d) != 0) {
        return damaged(l, "an instance without publication, or too large");
    }
    if (naming_op_check_instance(&d, &why) != 0) {
        return damaged(l, "%s", fail_text(&why));
    }
    struct publication *p = l->publications[m->publication];
    struct entry *e = mem_zalloc(1, sizeof(*e));
    e->publication = p;
    e->slot = instance_slot_obtain(s, d.ip, (uint16_t)d.port, d.cluster);
    e->published = instance_create(&d, s->grouped, span_of(p->client->id, p->client->id_len));
    e->effective = instance_ref(e->published);
    e->shown_at = ENTRY_HIDDEN;
    e->mark = m->order;
    int err = place(l, e, m->hidden);
    if (err) {
        instance_unref(e->published);
        instance_unref(e->effective);
        mem_free(e);
    }
    return err;
}

static int by_mark(const struct entry *a, const struct entry *b)
{
    return (a->mark > b->mark) - (a->mark < b->mark);
}

static int finish_publication(struct loader *l, struct publication *p)
{
    if (p->count == 0) {
        return damaged(l, "client %s publishes nothing for %.*s", p->client->id,
                       SPAN_ARG(p->service->grouped));
    }
    LL_SORT(p->entries, by_mark);
    uint32_t order = 0;
    for (const struct entry *e = p->entries; e; e = e->next) {
        if (e->mark != order++) {
            return damaged(l, "client %s: instances of %.*s have no order", p->client->id,
                           SPAN_ARG(p->service->grouped));
        }
    }
    return 0;
}

/* All of a service is there: what can only be said of the whole. */
static int finish_service(struct loader *l)
{
    const struct service *s = l->service;
    if (!s) {
        return 0;
    }
    for (size_t i = 0; i < l->publication_count; i++) {
        int err = finish_publication(l, l->publications[i]);
        if (err) {
            return err;
        }
    }
    const struct instance_slot *slot = s->overlay_count > 0 ? s->slots : NULL;
    for (; slot; slot = slot->hh.next) {
        const struct overlay *o = slot->overlay;
        if (o && (o->unused_since_ms < 0 || (o->unused_since_ms == 0) != (slot->newest != NULL))) {
            return damaged(l, "overlay of %.*s: in use or not", SPAN_ARG(s->grouped));
        }
    }
    l->service = NULL;
    return 0;
}

static int load_lists(struct loader *l, const Nacre__SnapshotService *m)
{
    int err = 0;
    for (size_t i = 0; !err && i < m->n_overlays; i++) {
        err = load_overlay(l, m->overlays[i]);
    }
    for (size_t i = 0; !err && i < m->n_publications; i++) {
        err = load_publication(l, m->publications[i]);
    }
    for (size_t i = 0; !err && i < m->n_entries; i++) {
        err = load_entry(l, m->entries[i]);
    }
    return err;
}

static int load_part(struct loader *l, struct span bytes, bool is_first)
{
    ProtobufCAllocator allocator = naming_pack_allocator(&l->arena);
    const Nacre__SnapshotService *m =
        nacre__snapshot_service__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return damaged(l, "no service");
    }
    int err = is_first ? finish_service(l) : 0;
    if (!err && is_first) {
        err = load_service(l, m);
    }
    if (!err && !l->service) {
        err = damaged(l, "more of a service that did not begin");
    }
    return err ? err : load_lists(l, m);
}

static int load_end(struct loader *l, struct span bytes)
{
    ProtobufCAllocator allocator = naming_pack_allocator(&l->arena);
    const Nacre__SnapshotEnd *m =
        nacre__snapshot_end__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return damaged(l, "no end");
    }
    int err = finish_service(l);
    if (err) {
        return err;
    }
    if (m->clients != l->client_count || m->services != l->services || m->entries != l->entries) {
        return damaged(l,
                       "expected %llu clients, %llu services, %llu instances, "
                       "got %zu, %llu, %llu",
                       (unsigned long long)m->clients, (unsigned long long)m->services,
                       (unsigned long long)m->entries, l->client_count,
                       (unsigned long long)l->services, (unsigned long long)l->entries);
    }
    for (size_t i = 0; i < l->client_count; i++) {
        if (l->clients[i]->publication_count == 0) {
            return damaged(l, "client %s publishes nothing", l->clients[i]->id);
        }
    }
    return 0;
}

static int read_u32(struct loader *l, uint32_t *ret)
{
    uint32_t wire = 0;
    int err = l->source->read(l->source->self, &wire, sizeof(wire), l->fail);
    if (!err) {
        *ret = le32toh(wire);
    }
    return err;
}

static int read_message(struct loader *l, uint32_t *ret_kind, struct span *ret_bytes)
{
    uint32_t len = 0;
    l->messages++;
    int err = read_u32(l, ret_kind);
    if (!err) {
        err = read_u32(l, &len);
    }
    if (err) {
        return err;
    }
    if (len > NAMING_SNAPSHOT_MESSAGE_MAX) {
        return damaged(l, "expected at most %u bytes, got %u", NAMING_SNAPSHOT_MESSAGE_MAX, len);
    }
    if (len > l->bytes_cap) {
        mem_free(l->bytes);
        l->bytes = mem_alloc(len);
        l->bytes_cap = len;
    }
    err = len > 0 ? l->source->read(l->source->self, l->bytes, len, l->fail) : 0;
    *ret_bytes = span_of(l->bytes, len);
    return err;
}

static int check_version(struct loader *l)
{
    uint32_t magic = 0;
    uint32_t version = 0;
    int err = read_u32(l, &magic);
    if (!err) {
        err = read_u32(l, &version);
    }
    if (err) {
        return err;
    }
    if (magic != NAMING_SNAPSHOT_MAGIC) {
        return fail_set(l->fail, E_PARSE, "this is no snapshot of the registry");
    }
    if (version != NAMING_SNAPSHOT_VERSION) {
        return fail_set(l->fail, E_PARSE,
                        "snapshot of the registry: version %u, this node knows %d", version,
                        NAMING_SNAPSHOT_VERSION);
    }
    return 0;
}

static int load_messages(struct loader *l)
{
    int err = check_version(l);
    uint32_t kind = 0;
    do {
        struct span bytes = {0};
        err = err ? err : read_message(l, &kind, &bytes);
        if (err) {
            return err;
        }
        switch (kind) {
        case NACRE__SNAPSHOT_KIND__CLIENTS:
            err = load_clients(l, bytes);
            break;
        case NACRE__SNAPSHOT_KIND__SERVICE:
        case NACRE__SNAPSHOT_KIND__MORE:
            err = load_part(l, bytes, kind == NACRE__SNAPSHOT_KIND__SERVICE);
            break;
        case NACRE__SNAPSHOT_KIND__END:
            err = load_end(l, bytes);
            break;
        default:
            break; /* of a newer version, which says that it can be passed over */
        }
        arena_reset(&l->arena);
    } while (!err && kind != NACRE__SNAPSHOT_KIND__END);
    return err;
}

/* Services that there are no more; only their subscribers still hold them, and are told. */
static void drop_services(struct naming *n, struct now now)
{
    struct service *s = NULL;
    struct service *next = NULL;
    HASH_ITER(hh, n->services, s, next)
    {
        if (service_is_visible(s)) {
            continue;
        }
        if (!n->is_replaying) {
            view_remove(n->view, span_of(s->key, s->key_len));
        }
        if (s->subscriber_count > 0 && !n->is_replaying && !restore_holds(n, s)) {
            push_changed(n, s, now);
        }
        (void)service_release(n, s);
    }
}

int naming_snapshot_load(struct naming *n, const struct byte_source *source, struct now now,
                         struct fail *fail)
{
    ASSERT(n->is_replaying || thread_kind() == THREAD_CORE);
    struct loader l = {.n = n, .source = source, .fail = fail};
    arena_init(&l.arena, LOAD_ARENA_MAX);
    restore_begin(n, now);
    naming_forget(n);
    int err = load_messages(&l);
    if (!err) {
        n->digest = naming_digest_count(n);
        drop_services(n, now);
        restore_review(n, now);
    }
    if (!err && !n->is_replaying) {
        struct naming_recovery figures = {0};
        naming_watch(n, now, &figures);
    }
    mem_free(l.bytes);
    mem_free(l.clients);
    mem_free(l.publications);
    arena_close(&l.arena);
    return err;
}
