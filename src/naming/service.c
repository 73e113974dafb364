/* Services: found by name, listed by group, freed when nothing holds them. What is published is
 * apply.c's. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "naming/beat.h"
#include "naming/naming_digest.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/state.h"

struct service *service_find(struct naming *n, const struct service_name *name)
{
    char bytes[VIEW_KEY_MAX];
    struct span key = service_name_key(name, bytes);
    struct service *s = NULL;
    HASH_FIND(hh, n->services, key.data, key.len, s);
    return s;
}

static struct span text_put(char **at, struct span s)
{
    struct span copy = span_of(*at, s.len);
    if (s.len > 0) {
        memcpy(*at, s.data, s.len);
    }
    *at += s.len;
    return copy;
}

static void name_own(struct service *s, const struct service_name *name)
{
    size_t grouped_len = name->group.len + 2 + name->name.len;
    s->texts = mem_alloc(name->namespace_id.len + name->group.len + name->name.len + grouped_len);
    char *at = s->texts;
    s->name.namespace_id = text_put(&at, name->namespace_id);
    s->name.group = text_put(&at, name->group);
    s->name.name = text_put(&at, name->name);
    char *grouped = at;
    (void)text_put(&at, name->group);
    (void)text_put(&at, SPAN("@@"));
    (void)text_put(&at, name->name);
    s->grouped = span_of(grouped, grouped_len);
}

struct service *service_obtain(struct naming *n, const struct service_name *name)
{
    struct service *s = service_find(n, name);
    if (s) {
        return s;
    }
    char bytes[VIEW_KEY_MAX];
    struct span key = service_name_key(name, bytes);
    s = mem_zalloc(1, sizeof(*s));
    name_own(s, name);
    s->key = mem_strndup(key.data, key.len);
    s->key_len = key.len;
    s->key_digest = naming_piece_key(s);
    s->digest = &n->digest;
    HASH_ADD_KEYPTR(hh, n->services, s->key, s->key_len, s);
    return s;
}

static void overlay_free(struct overlay *o)
{
    if (o) {
        mem_free(o->metadata);
        mem_free(o);
    }
}

/* Slots that only an overlay holds. */
static void slots_clear(struct service *s)
{
    struct instance_slot *slot = NULL;
    struct instance_slot *next = NULL;
    HASH_ITER(hh, s->slots, slot, next)
    {
        ASSERT(!slot->newest);
        HASH_DELETE(hh, s->slots, slot);
        overlay_free(slot->overlay);
        mem_free(slot);
    }
    s->overlay_count = 0;
}

static void record_clear(struct service *s)
{
    s->has_record = false;
    s->protect_threshold = 0;
    mem_free(s->metadata);
    s->metadata = NULL;
    s->metadata_count = 0;
    mem_free(s->selector);
    s->selector = NULL;
}

bool service_release(struct naming *n, struct service *s)
{
    if (s->exists || s->publication_count > 0 || s->subscriber_count > 0 || s->touched ||
        s->pending) {
        return false;
    }
    push_state_free(n, s);
    if (n->clean_at == s) {
        n->clean_at = s->hh.next;
    }
    HASH_DELETE(hh, n->services, s);
    slots_clear(s);
    record_clear(s);
    mem_free(s->removals);
    mem_free(s->shown);
    mem_free(s->key);
    mem_free(s->texts);
    mem_free(s);
    return true;
}

void service_set_exists(struct naming *n, struct service *s, bool ephemeral)
{
    ASSERT(!s->exists);
    s->exists = true;
    s->ephemeral = ephemeral;
    s->stale = true;
    n->digest += naming_piece_service(s);
    n->service_count++;
    if (!s->group) {
        service_enlist(n, s);
    }
}

int service_refuse_kind(const struct service *s, bool ephemeral, bool batch, struct fail *fail)
{
    const char *what = !ephemeral ? "register persistent"
                       : batch    ? "batch register ephemeral"
                                  : "register ephemeral";
    return fail_set_codes(fail, E_INVALID, 400, 0,
                          "errCode: 400, errMsg: Current service %.*s is %s service, can't %s "
                          "instance. ",
                          SPAN_ARG(s->grouped), s->ephemeral ? "ephemeral" : "persistent", what);
}

/* Its replicated half is as if it had never existed. */
static void service_forget(struct naming *n, struct service *s)
{
    ASSERT(s->exists);
    ASSERT(s->publication_count == 0);
    ASSERT(s->shown_count == 0);
    n->digest -= naming_piece_service(s);
    s->exists = false;
    s->ephemeral = false;
    n->service_count--;
    if (!service_is_visible(s)) {
        service_delist(n, s);
    }
    record_clear(s);
    slots_clear(s);
    mem_free(s->removals);
    s->removals = NULL;
    s->removals_count = 0;
    s->revision = 0;
    s->updated_ms = 0;
}

void service_set_gone(struct naming *n, struct service *s)
{
    service_forget(n, s);
    if (!n->is_replaying && !service_is_visible(s)) {
        view_remove(n->view, span_of(s->key, s->key_len));
    }
}

void service_show(struct service *s, struct entry *e)
{
    if (s->shown_count == s->shown_cap) {
        s->shown_cap = s->shown_cap ? s->shown_cap * 2 : 4;
        s->shown = mem_realloc(s->shown, s->shown_cap, sizeof(struct entry *));
    }
    entry_set_place(e, s->shown_count);
    s->shown[s->shown_count++] = e;
    s->healthy_count += e->effective->healthy;
}

/* "ip port cluster": a blank stands in no checked ip or cluster. */
#define SLOT_KEY_MAX (NAME_IP_MAX * 4 + NAME_CLUSTER_MAX * 4 + 8)

static struct span slot_key(struct span ip, uint16_t port, struct span cluster,
                            char dst[SLOT_KEY_MAX])
{
    if (ip.len + cluster.len + 8 > SLOT_KEY_MAX) {
        return (struct span){0};
    }
    char *at = dst;
    (void)text_put(&at, ip);
    *at++ = ' ';
    char digits[8];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + port % 10);
        port /= 10;
    } while (port > 0);
    while (len > 0) {
        *at++ = digits[--len];
    }
    *at++ = ' ';
    (void)text_put(&at, cluster);
    return span_of(dst, (size_t)(at - dst));
}

struct instance_slot *instance_slot_find(const struct service *s, struct span ip, uint16_t port,
                                         struct span cluster)
{
    char bytes[SLOT_KEY_MAX];
    struct span key = slot_key(ip, port, cluster, bytes);
    struct instance_slot *slot = NULL;
    if (key.len > 0) {
        HASH_FIND(hh, s->slots, key.data, key.len, slot);
    }
    return slot;
}

struct instance_slot *instance_slot_obtain(struct service *s, struct span ip, uint16_t port,
                                           struct span cluster)
{
    struct instance_slot *slot = instance_slot_find(s, ip, port, cluster);
    if (slot) {
        return slot;
    }
    char bytes[SLOT_KEY_MAX];
    struct span key = slot_key(ip, port, cluster, bytes);
    ASSERT(key.len > 0);
    slot = mem_zalloc(1, sizeof(*slot) + key.len);
    memcpy(slot->key, key.data, key.len);
    slot->key_len = key.len;
    HASH_ADD_KEYPTR(hh, s->slots, slot->key, slot->key_len, slot);
    return slot;
}

void instance_slot_release(struct service *s, struct instance_slot *slot)
{
    if (slot->newest || slot->overlay) {
        return;
    }
    HASH_DELETE(hh, s->slots, slot);
    mem_free(slot);
}

void instance_slot_address(const struct instance_slot *slot, struct span *ret_ip,
                           uint16_t *ret_port, struct span *ret_cluster)
{
    /* From the end: an ip of nothing but blanks passes the parameter check, as in Nacos. */
    size_t cluster_at = slot->key_len;
    while (slot->key[cluster_at - 1] != ' ') {
        cluster_at--;
    }
    size_t port_at = cluster_at - 1;
    while (slot->key[port_at - 1] != ' ') {
        port_at--;
    }
    long long port = 0;
    bool is_port = span_int(span_of(slot->key + port_at, cluster_at - 1 - port_at), &port);
    ASSERT(is_port);
    *ret_ip = span_of(slot->key, port_at - 1);
    *ret_port = (uint16_t)port;
    *ret_cluster = span_of(slot->key + cluster_at, slot->key_len - cluster_at);
}

static void entries_free(struct naming *n, struct publication *p)
{
    beat_forget(n, p);
    struct entry *e = p->entries;
    while (e) {
        struct entry *next = e->next;
        e->slot->newest = NULL;
        instance_unref(e->published);
        instance_unref(e->effective);
        mem_free(e);
        e = next;
    }
    mem_free(p);
}

/* Everything that is published, and who publishes it. */
static void publications_clear(struct naming *n)
{
    struct client *c = NULL;
    struct client *next = NULL;
    HASH_ITER(hh, n->clients, c, next)
    {
        struct publication *p = NULL;
        struct publication *p_next = NULL;
        HASH_ITER(hh, c->publications, p, p_next)
        {
            HASH_DELETE(hh, c->publications, p);
            c->publication_count--;
            p->service->publication_count--;
            n->instance_count -= p->count;
            entries_free(n, p);
        }
        c->mark = 0;
        c->owner = 0;
        (void)client_release(n, c);
    }
    for (struct service *s = n->services; s; s = s->hh.next) {
        s->publications = NULL;
        s->shown_count = 0;
        s->healthy_count = 0;
        s->touched = false;
    }
}

void naming_forget(struct naming *n)
{
    publications_clear(n);
    for (struct service *s = n->services; s; s = s->hh.next) {
        if (s->exists) {
            service_forget(n, s);
        }
    }
    n->digest = 0; /* what was published went without a word */
}

void naming_clear(struct naming *n)
{
    publications_clear(n);
    ASSERT(!n->clients);
    struct service *s = NULL;
    struct service *next = NULL;
    HASH_ITER(hh, n->services, s, next)
    {
        if (s->exists) {
            service_set_gone(n, s);
        }
        bool freed = service_release(n, s);
        ASSERT(freed);
    }
    n->digest = 0;
}

static size_t check_publications(const struct service *s)
{
    size_t count = 0;
    size_t entries = 0;
    for (const struct publication *p = s->publications; p; p = p->service_next) {
        ASSERT(p->service == s);
        ASSERT(!p->service_next || p->service_next->service_prev == p);
        ASSERT(publication_find(p->client, s) == p);
        size_t own = 0;
        for (const struct entry *e = p->entries; e; e = e->next) {
            ASSERT(e->publication == p);
            ASSERT(!e->slot->mine);
            ASSERT(!e->fresh);
            ASSERT((e->shown_at != ENTRY_HIDDEN) == (e->slot->newest == e));
            own++;
        }
        ASSERT(own == p->count);
        ASSERT(own > 0);
        entries += own;
        count++;
    }
    ASSERT(count == s->publication_count);
    return entries;
}

static void check_shown(const struct service *s)
{
    size_t healthy = 0;
    for (size_t i = 0; i < s->shown_count; i++) {
        const struct entry *e = s->shown[i];
        ASSERT(e->shown_at == i);
        ASSERT(e->slot->newest == e);
        healthy += e->effective->healthy;
    }
    ASSERT(healthy == s->healthy_count);
}

/* Newest first, every entry of the slot's address, only the newest with the overlay over it. */
static size_t check_chain(const struct service *s, const struct instance_slot *slot)
{
    size_t entries = 0;
    ASSERT(!slot->newest || !slot->newest->key_newer);
    for (const struct entry *e = slot->newest; e; e = e->key_older) {
        const struct instance *i = e->published;
        ASSERT(e->slot == slot);
        ASSERT(e->publication->service == s);
        ASSERT(!e->key_older || e->key_older->key_newer == e);
        ASSERT(instance_slot_find(s, i->ip, i->port, i->cluster) == slot);
        ASSERT(i->ephemeral == s->ephemeral);
        ASSERT(e->effective == i || (slot->overlay && e == slot->newest));
        entries++;
    }
    return entries;
}

static size_t check_slots(const struct service *s)
{
    size_t shown = 0;
    size_t overlays = 0;
    size_t entries = 0;
    for (const struct instance_slot *slot = s->slots; slot; slot = slot->hh.next) {
        ASSERT(slot->newest || slot->overlay);
        ASSERT(!slot->mine);
        ASSERT(!slot->overlay || (slot->overlay->unused_since_ms == 0) == (slot->newest != NULL));
        shown += slot->newest != NULL;
        overlays += slot->overlay != NULL;
        entries += check_chain(s, slot);
    }
    ASSERT(shown == s->shown_count);
    ASSERT(overlays == s->overlay_count);
    return entries;
}

/* One that does not exist is as if it had never existed, but for this node's subscribers. */
static void check_gone(const struct service *s)
{
    ASSERT(!s->has_record);
    ASSERT(!s->metadata);
    ASSERT(!s->selector);
    ASSERT(!s->slots);
    ASSERT(s->publication_count == 0);
    ASSERT(s->removals_count == 0);
    ASSERT(s->revision == 0);
    ASSERT(s->subscriber_count > 0 || s->pending);
}

static size_t check_service(const struct naming *n, const struct service *s)
{
    struct service *found = NULL;
    HASH_FIND(hh, n->services, s->key, s->key_len, found);
    ASSERT(found == s);
    ASSERT(!s->touched);
    size_t entries = check_publications(s);
    check_shown(s);
    size_t chained = check_slots(s);
    ASSERT(chained == entries);
    if (!s->exists) {
        check_gone(s);
        return 0;
    }
    ASSERT(s->group->list[s->group_at] == s);
    ASSERT(s->removals || s->removals_count == 0);
    return entries;
}

/* Returns how many publications all clients have. */
static size_t check_clients(const struct naming *n)
{
    size_t publications = 0;
    size_t attached = 0;
    size_t counts[ARRAY_LEN(n->client_counts)] = {0};
    for (const struct client *c = n->clients; c; c = c->hh.next) {
        struct client *found = NULL;
        HASH_FIND(hh, n->clients, c->id, c->id_len, found);
        ASSERT(found == c);
        ASSERT(HASH_COUNT(c->publications) == c->publication_count);
        ASSERT(c->publication_count > 0 || c->subscription_count > 0 || c->conn != 0);
        ASSERT(c->owner == 0 || c->publication_count > 0);
        ASSERT(c->owner == 0 || c->kind != CLIENT_PERSISTENT);
        publications += c->publication_count;
        attached += c->conn != 0;
        counts[c->kind]++;
    }
    ASSERT(attached == HASH_CNT(hh_conn, n->by_conn));
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        ASSERT(counts[k] == n->client_counts[k]);
    }
    return publications;
}

void naming_check(const struct naming *n)
{
    size_t existing = 0;
    size_t visible = 0;
    size_t entries = 0;
    size_t publications = 0;
    size_t subscribers = 0;
    for (const struct service *s = n->services; s; s = s->hh.next) {
        entries += check_service(n, s);
        existing += s->exists;
        visible += service_is_visible(s);
        publications += s->publication_count;
        subscribers += s->subscriber_count;
    }
    ASSERT(existing == n->service_count);
    ASSERT(visible == service_groups_check(n));
    ASSERT(entries == n->instance_count);
    ASSERT(publications == check_clients(n));
    ASSERT(subscribers == n->subscription_count);
    ASSERT(n->digest == naming_digest_count(n));
    pending_check(n);
}
