/* The value of a service of which something is pending: the applied instances, with those of the
 * newest records over them. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "naming/overlay.h"
#include "naming/pending.h"
#include "naming/react.h"

/* One instance of a newest record. */
struct pending_part {
    struct instance *instance;
    uint64_t rank;
    size_t at; /* among the parts as they were collected: a list's later entry of an address wins */
    struct instance_slot *slot;
    bool is_put;
};

/* What is put together. */
struct merge {
    struct naming *n;
    struct service *s;
    struct pending_part *parts;
    size_t count;
    struct service_value *value;
};

static int by_rank(const void *a, const void *b)
{
    const struct pending_part *x = a;
    const struct pending_part *y = b;
    int order = (x->rank > y->rank) - (x->rank < y->rank);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Applied publications know their pieces while the value is put together, or no more. */
static void mark_publications(struct merge *m, bool is_marked)
{
    for (struct pending_piece *piece = m->s->pending->pieces; piece; piece = piece->hh.next) {
        struct publication *p = pending_applied(m->n, piece);
        if (p) {
            p->piece = is_marked ? piece : NULL;
        }
    }
}

static void collect_parts(struct merge *m)
{
    size_t max = 0;
    const struct pending_piece *piece = NULL;
    for (piece = m->s->pending->pieces; piece; piece = piece->hh.next) {
        max += piece->newest->count;
    }
    m->parts = mem_zalloc(max + 1, sizeof(*m->parts));
    for (piece = m->s->pending->pieces; piece; piece = piece->hh.next) {
        const struct pending_record *r = piece->newest;
        for (size_t i = 0; r->kind == PENDING_LIST && i < r->count; i++) {
            m->parts[m->count] = (struct pending_part){
                .instance = r->list[i],
                .rank = r->rank,
                .at = m->count,
            };
            m->count++;
        }
    }
    qsort(m->parts, m->count, sizeof(*m->parts), by_rank);
}

/* The newest part of each address stands in its slot, which is made if need be. */
static void mark_slots(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct pending_part *part = &m->parts[i];
        const struct instance *it = part->instance;
        part->slot = instance_slot_obtain(m->s, it->ip, it->port, it->cluster);
        part->slot->part = part;
    }
}

static void clear_slots(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        m->parts[i].slot->part = NULL;
    }
    for (size_t i = 0; i < m->count; i++) {
        const struct instance *it = m->parts[i].instance;
        struct instance_slot *slot = instance_slot_find(m->s, it->ip, it->port, it->cluster);
        if (slot) {
            instance_slot_release(m->s, slot);
        }
    }
}

static void put(struct merge *m, struct instance *i, const struct instance_slot *slot)
{
    struct service_value *v = m->value;
    v->instances[v->count++] = overlay_effective(m->s, i, slot->overlay);
}

static void put_part(struct merge *m, struct pending_part *part)
{
    part->is_put = true;
    put(m, part->instance, part->slot);
}

/* An applied entry in the health that is pending of it. */
static void put_health(struct merge *m, const struct entry *e, bool healthy)
{
    struct instance_data d = instance_as_data(e->published);
    d.healthy = healthy;
    struct instance *changed = instance_create(&d, m->s->grouped, e->published->client);
    put(m, changed, e->slot);
    instance_unref(changed);
}

/* The newest applied entry of an address that no part stands over and nothing hides. */
static void put_applied(struct merge *m, const struct entry *newest)
{
    for (const struct entry *e = newest; e; e = e->key_older) {
        const struct pending_piece *piece = e->publication->piece;
        if (!piece || pending_is_void(m->n, piece)) {
            put(m, e->published, e->slot);
            return;
        }
        if (piece->newest->kind == PENDING_HEALTH) {
            put_health(m, e, piece->newest->healthy);
            return;
        }
    }
}

/* Applied ones first, where they stand; behind them the new ones, oldest first, as they will be
 * when they are applied. */
static void put_all(struct merge *m)
{
    for (size_t i = 0; i < m->s->shown_count; i++) {
        const struct entry *e = m->s->shown[i];
        if (e->slot->part) {
            put_part(m, e->slot->part);
        } else {
            put_applied(m, e);
        }
    }
    for (size_t i = 0; i < m->count; i++) {
        struct pending_part *part = &m->parts[i];
        if (part->slot->part == part && !part->is_put) {
            put_part(m, part);
        }
    }
}

struct service_value *pending_value(struct naming *n, struct service *s)
{
    struct merge m = {.n = n, .s = s};
    ASSERT(s->pending);
    collect_parts(&m);
    m.value = service_value_begin(s, s->shown_count + m.count);
    m.value->ephemeral = s->ephemeral || s->pending->publishes > 0;
    mark_publications(&m, true);
    mark_slots(&m);
    put_all(&m);
    clear_slots(&m);
    mark_publications(&m, false);
    mem_free(m.parts);
    service_value_end(m.value);
    return m.value;
}

struct service_seen service_seen(struct naming *n, struct service *s, struct now now)
{
    if (!s || !service_is_visible(s)) {
        return (struct service_seen){0};
    }
    if (!s->pending) {
        return (struct service_seen){s, NULL, s->shown_count, s->healthy_count};
    }
    struct service_seen seen = {.service = s, .value = service_refresh(n, s, now)};
    seen.count = seen.value ? seen.value->count : 0;
    for (size_t i = 0; i < seen.count; i++) {
        seen.healthy += seen.value->instances[i]->healthy;
    }
    return seen;
}

const struct instance *service_seen_at(const struct service_seen *seen, size_t i)
{
    return seen->value ? seen->value->instances[i] : seen->service->shown[i]->effective;
}
