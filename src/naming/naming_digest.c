#include "naming/naming_digest.h"

#include "base/digest.h"
#include "naming/state.h"

/* Numbers stand in the digest: a kind keeps its own. */
enum piece {
    PIECE_HEAD = 1,
    PIECE_RECORD = 2,
    PIECE_REMOVAL = 3,
    PIECE_OVERLAY = 4,
    PIECE_PUBLICATION = 5,
    PIECE_ENTRY = 6,
    PIECE_CLIENT = 7,
    PIECE_KEY = 8,
    PIECE_INSTANCE = 9,
};

static uint64_t add_pairs(uint64_t d, const struct instance_pair *pairs, size_t count)
{
    d = digest_number(d, count);
    for (size_t i = 0; i < count; i++) {
        d = digest_bytes(digest_bytes(d, pairs[i].key), pairs[i].value);
    }
    return d;
}

uint64_t naming_piece_key(const struct service *s)
{
    return digest_bytes(PIECE_KEY, span_of(s->key, s->key_len));
}

uint64_t naming_piece_head(const struct service *s)
{
    if (!s->exists) {
        return 0;
    }
    uint64_t d = digest_number(s->key_digest, PIECE_HEAD);
    d = digest_number(d, s->ephemeral);
    d = digest_number(d, s->revision);
    d = digest_number(d, (uint64_t)s->updated_ms);
    return digest_number(d, s->removals_count);
}

uint64_t naming_piece_record(const struct service *s)
{
    if (!s->exists) {
        return 0;
    }
    uint64_t d = digest_number(s->key_digest, PIECE_RECORD);
    d = digest_number(d, s->has_record);
    d = digest_double(d, s->protect_threshold);
    d = add_pairs(d, s->metadata, s->metadata_count);
    return digest_bytes(d, span_str(s->selector));
}

uint64_t naming_piece_removal(const struct service *s, unsigned number)
{
    const struct removal *r = &s->removals[number % SERVICE_REMOVALS_KEPT];
    uint64_t d = digest_number(s->key_digest, PIECE_REMOVAL);
    d = digest_number(d, number);
    d = digest_number(d, (uint64_t)r->time_ms);
    d = digest_number(d, (uint64_t)r->reason);
    return digest_bytes(digest_bytes(d, span_str(r->what)), span_str(r->client));
}

uint64_t naming_piece_overlay(const struct service *s, const struct instance_slot *slot)
{
    const struct overlay *o = slot->overlay;
    if (!o) {
        return 0;
    }
    uint64_t d = digest_number(s->key_digest, PIECE_OVERLAY);
    d = digest_bytes(d, span_of(slot->key, slot->key_len));
    d = digest_number(d, (uint64_t)o->has_weight << 1 | (uint64_t)o->has_enabled);
    d = digest_double(d, o->has_weight ? o->weight : 0);
    d = digest_number(d, o->has_enabled && o->enabled);
    d = add_pairs(d, o->metadata, o->metadata_count);
    return digest_number(d, (uint64_t)o->unused_since_ms);
}

uint64_t naming_piece_publication(const struct publication *p)
{
    uint64_t d = digest_number(p->service->key_digest, PIECE_PUBLICATION);
    d = digest_bytes(d, span_of(p->client->id, p->client->id_len));
    return digest_number(digest_number(d, p->batch), (uint64_t)p->time_ms);
}

uint64_t naming_piece_entry(const struct entry *e)
{
    uint64_t d = digest_number(e->publication->service->key_digest, PIECE_ENTRY);
    return digest_number(digest_number(d, e->published->digest), e->shown_at);
}

uint64_t naming_piece_client(const struct client *c)
{
    if (c->publication_count == 0) {
        return 0;
    }
    uint64_t d = digest_bytes(PIECE_CLIENT, span_of(c->id, c->id_len));
    d = digest_number(d, (uint64_t)c->kind);
    return digest_number(digest_number(d, (uint64_t)c->updated_ms), c->owner);
}

uint64_t naming_piece_instance(const struct instance *i)
{
    uint64_t d = digest_bytes(PIECE_INSTANCE, i->client);
    d = digest_bytes(digest_number(digest_bytes(d, i->ip), i->port), i->cluster);
    d = digest_double(digest_bytes(d, i->instance_id), i->weight);
    d = digest_number(d, (uint64_t)i->healthy << 2 | (uint64_t)i->enabled << 1 | i->ephemeral);
    return add_pairs(d, i->metadata, i->metadata_count);
}

uint64_t naming_piece_service(const struct service *s)
{
    uint64_t d = naming_piece_head(s) + naming_piece_record(s);
    unsigned count = s->removals_count;
    unsigned kept = count < SERVICE_REMOVALS_KEPT ? count : SERVICE_REMOVALS_KEPT;
    for (unsigned i = count - kept; i != count; i++) {
        d += naming_piece_removal(s, i);
    }
    const struct instance_slot *slot = s->overlay_count > 0 ? s->slots : NULL;
    for (; slot; slot = slot->hh.next) {
        d += naming_piece_overlay(s, slot);
    }
    for (const struct publication *p = s->publications; p; p = p->service_next) {
        d += naming_piece_publication(p);
        for (const struct entry *e = p->entries; e; e = e->next) {
            d += naming_piece_entry(e);
        }
    }
    return d;
}

uint64_t naming_digest(const struct naming *n)
{
    return n->digest;
}

uint64_t naming_digest_count(const struct naming *n)
{
    uint64_t d = 0;
    for (const struct service *s = n->services; s; s = s->hh.next) {
        d += naming_piece_service(s);
    }
    for (const struct client *c = n->clients; c; c = c->hh.next) {
        d += naming_piece_client(c);
    }
    return d;
}

void entry_set_place(struct entry *e, size_t at)
{
    uint64_t *digest = e->publication->service->digest;
    *digest -= naming_piece_entry(e);
    e->shown_at = at;
    *digest += naming_piece_entry(e);
}

void entry_set_published(struct entry *e, struct instance *take_published)
{
    uint64_t *digest = e->publication->service->digest;
    *digest -= naming_piece_entry(e);
    instance_unref(e->published);
    e->published = take_published;
    *digest += naming_piece_entry(e);
}

void overlay_set_unused(struct service *s, struct instance_slot *slot, int64_t since_ms)
{
    if (!slot->overlay) {
        return;
    }
    *s->digest -= naming_piece_overlay(s, slot);
    slot->overlay->unused_since_ms = since_ms;
    *s->digest += naming_piece_overlay(s, slot);
}
