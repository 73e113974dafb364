/* One operation changes the state. What is local to a node is react.c's. */
#include "naming/apply.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/beat.h"
#include "naming/naming_digest.h"
#include "naming/naming_op.h"
#include "naming/overlay.h"

static void touch(struct service *s, const struct naming_op *op, struct changes *changes)
{
    if (s->touched) {
        return;
    }
    *s->digest -= naming_piece_head(s);
    s->revision++;
    s->updated_ms = op->time_ms;
    *s->digest += naming_piece_head(s);
    s->touched = true;
    s->touched_next = changes->touched;
    changes->touched = s;
}

/* What changed is seen only by what is pending of this node: behind an entry that it hides, or set
 * over one that it has alone. */
static void touch_behind(struct service *s, struct changes *changes)
{
    if (!s->pending) {
        return;
    }
    if (changes->behind_count == changes->behind_cap) {
        changes->behind_cap = changes->behind_cap ? changes->behind_cap * 2 : 8;
        changes->behind =
            mem_realloc(changes->behind, changes->behind_cap, sizeof(struct service *));
    }
    changes->behind[changes->behind_count++] = s;
}

/* The ring grows as it fills: most services lose few instances, and there are very many. */
static struct removal *removal_next(struct service *s)
{
    unsigned count = s->removals_count++;
    if (count >= SERVICE_REMOVALS_KEPT) {
        *s->digest -= naming_piece_removal(s, count - SERVICE_REMOVALS_KEPT);
    }
    bool is_full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, 8: the sizes it grows through */
    if (is_full && count < SERVICE_REMOVALS_KEPT) {
        s->removals = mem_realloc(s->removals, count ? 2 * count : 1, sizeof(*s->removals));
    }
    return &s->removals[count % SERVICE_REMOVALS_KEPT];
}

/* Remember why i went. Takes no reference: changes hold one until they are closed. */
static void remember(struct service *s, const struct instance *i, enum removal_reason reason,
                     int64_t time_ms)
{
    *s->digest -= naming_piece_head(s);
    struct removal *r = removal_next(s);
    *r = (struct removal){.time_ms = time_ms, .reason = reason};
    (void)snprintf(r->what, sizeof(r->what), "%.*s:%u#%.*s", SPAN_ARG(i->ip), (unsigned)i->port,
                   SPAN_ARG(i->cluster));
    (void)snprintf(r->client, sizeof(r->client), "%.*s", SPAN_ARG(i->client));
    *s->digest += naming_piece_head(s) + naming_piece_removal(s, s->removals_count - 1);
}

static void removed(struct service *s, struct instance *i, enum removal_reason reason,
                    const struct naming_op *op, struct changes *changes)
{
    remember(s, i, reason, op->time_ms);
    if (changes->removed_count == changes->removed_cap) {
        changes->removed_cap = changes->removed_cap ? changes->removed_cap * 2 : 8;
        changes->removed =
            mem_realloc(changes->removed, changes->removed_cap, sizeof(*changes->removed));
    }
    changes->removed[changes->removed_count++] =
        (struct change_removal){s, instance_ref(i), reason};
}

/* Put a shown entry's effective instance right; the healthy count follows. */
static void entry_settle(struct service *s, struct entry *e)
{
    struct instance *was = e->effective;
    e->effective = overlay_effective(s, e->published, e->slot->overlay);
    s->healthy_count += e->effective->healthy;
    s->healthy_count -= was->healthy;
    instance_unref(was);
}

/* The last one takes its place. */
static void shown_remove(struct service *s, struct entry *e)
{
    struct entry *last = s->shown[--s->shown_count];
    s->shown[e->shown_at] = last;
    entry_set_place(last, e->shown_at);
    entry_set_place(e, ENTRY_HIDDEN);
    s->healthy_count -= e->effective->healthy;
}

/* to is shown where from was. */
static void shown_hand_over(struct service *s, struct entry *from, struct entry *to)
{
    entry_set_place(to, from->shown_at);
    entry_set_place(from, ENTRY_HIDDEN);
    s->shown[to->shown_at] = to;
    s->healthy_count += to->effective->healthy;
    s->healthy_count -= from->effective->healthy;
    instance_unref(from->effective);
    from->effective = instance_ref(from->published);
    entry_settle(s, to);
}

static void chain_unlink(struct entry *e)
{
    if (e->key_newer) {
        e->key_newer->key_older = e->key_older;
    } else {
        e->slot->newest = e->key_older;
    }
    if (e->key_older) {
        e->key_older->key_newer = e->key_newer;
    }
    e->key_newer = e->key_older = NULL;
}

/* e becomes the newest of its key and is shown (DIFF(newest-wins): Nacos lists both). */
static void chain_push(struct service *s, struct entry *e)
{
    struct instance_slot *slot = e->slot;
    struct entry *was = slot->newest;
    e->key_older = was;
    e->key_newer = NULL;
    if (was) {
        was->key_newer = e;
    }
    slot->newest = e;
    overlay_set_unused(s, slot, 0);
    if (was) {
        shown_hand_over(s, was, e);
        return;
    }
    service_show(s, e);
    entry_settle(s, e);
}

static struct entry *entry_create(struct publication *p, struct instance_slot *slot,
                                  struct instance *take_published)
{
    struct entry *e = mem_zalloc(1, sizeof(*e));
    e->publication = p;
    e->slot = slot;
    e->published = take_published;
    e->effective = instance_ref(take_published);
    e->shown_at = ENTRY_HIDDEN;
    *p->service->digest += naming_piece_entry(e);
    return e;
}

/* Free e, which its publication's list does not hold any more. */
static void entry_remove(struct naming *n, struct entry *e, enum removal_reason reason,
                         const struct naming_op *op, struct changes *changes)
{
    struct service *s = e->publication->service;
    struct instance_slot *slot = e->slot;
    struct entry *older = e->key_older;
    bool shown = e->shown_at != ENTRY_HIDDEN;
    if (shown && older) {
        shown_hand_over(s, e, older);
    } else if (shown) {
        shown_remove(s, e);
        removed(s, e->published, reason, op, changes);
    }
    chain_unlink(e);
    if (!slot->newest) {
        overlay_set_unused(s, slot, op->time_ms);
    }
    *s->digest -= naming_piece_entry(e);
    instance_slot_release(s, slot);
    instance_unref(e->published);
    instance_unref(e->effective);
    mem_free(e);
    n->instance_count--;
}

static struct publication *publication_create(struct client *c, struct service *s)
{
    struct publication *p = mem_zalloc(1, sizeof(*p));
    p->client = c;
    p->service = s;
    HASH_ADD(hh, c->publications, service, sizeof(p->service), p);
    c->publication_count++;
    p->service_next = s->publications;
    if (p->service_next) {
        p->service_next->service_prev = p;
    }
    s->publications = p;
    s->publication_count++;
    return p;
}

/* The client's publication, new or as it was, is what op says; its entries follow. */
static struct publication *publication_put(struct naming *n, struct client *c, struct service *s,
                                           const struct naming_op *op)
{
    n->digest -= naming_piece_client(c);
    struct publication *p = publication_find(c, s);
    if (p) {
        n->digest -= naming_piece_publication(p);
    } else {
        p = publication_create(c, s);
    }
    c->owner = c->kind == CLIENT_PERSISTENT ? 0 : op->owner;
    c->updated_ms = op->time_ms;
    p->batch = op->batch;
    p->time_ms = op->time_ms;
    n->digest += naming_piece_client(c) + naming_piece_publication(p);
    return p;
}

/* Who was hidden all along leaves the list as it is: after a restart clients register through new
 * connections, and when the old ones end nobody is pushed. */
static void publication_remove(struct naming *n, struct publication *p, enum removal_reason reason,
                               const struct naming_op *op, struct changes *changes)
{
    struct service *s = p->service;
    struct client *c = p->client;
    bool shown = false;
    n->digest -= naming_piece_client(c) + naming_piece_publication(p);
    while (p->entries) {
        struct entry *e = p->entries;
        p->entries = e->next;
        shown = shown || e->shown_at != ENTRY_HIDDEN;
        entry_remove(n, e, reason, op, changes);
    }
    beat_forget(n, p);
    HASH_DELETE(hh, c->publications, p);
    c->publication_count--;
    c->updated_ms = op->time_ms;
    c->owner = c->publication_count > 0 ? c->owner : 0;
    n->digest += naming_piece_client(c);
    if (p->service_prev) {
        p->service_prev->service_next = p->service_next;
    } else {
        s->publications = p->service_next;
    }
    if (p->service_next) {
        p->service_next->service_prev = p->service_prev;
    }
    s->publication_count--;
    mem_free(p);
    if (shown) {
        touch(s, op, changes);
    } else {
        touch_behind(s, changes);
    }
}

/* One instance of the new list: the publication's old entry of that key, or a new one. */
static void publish_one(struct naming *n, struct publication *p, const struct instance_data *data)
{
    struct service *s = p->service;
    struct client *c = p->client;
    struct instance_data d = *data;
    d.ephemeral = s->ephemeral;
    struct instance *published = instance_create(&d, s->grouped, span_of(c->id, c->id_len));
    struct instance_slot *slot = instance_slot_obtain(s, d.ip, (uint16_t)d.port, d.cluster);
    struct entry *e = slot->mine;
    if (!e) {
        e = entry_create(p, slot, published);
        e->next = p->entries;
        p->entries = e;
        p->count++;
        n->instance_count++;
        slot->mine = e;
        chain_push(s, e);
    } else {
        entry_set_published(e, published);
        if (slot->newest == e) {
            entry_settle(s, e);
        } else {
            instance_unref(e->effective);
            e->effective = instance_ref(published);
            chain_unlink(e);
            chain_push(s, e);
        }
    }
    e->fresh = true;
}

/* Entries that the new list does not name any more. */
static void publish_sweep(struct naming *n, struct publication *p, const struct naming_op *op,
                          struct changes *changes)
{
    struct entry **link = &p->entries;
    while (*link) {
        struct entry *e = *link;
        e->slot->mine = NULL;
        if (e->fresh) {
            e->fresh = false;
            link = &e->next;
            continue;
        }
        *link = e->next;
        p->count--;
        entry_remove(n, e, REMOVAL_REPLACED, op, changes);
    }
}

static int apply_publish(struct naming *n, const struct naming_op *op, struct changes *changes,
                         struct fail *fail)
{
    struct service *s = service_obtain(n, &op->service);
    if (s->exists && s->ephemeral != op->ephemeral) {
        if (s->publication_count > 0 || s->has_record) {
            return service_refuse_kind(s, op->ephemeral, op->batch, fail);
        }
        /* DIFF(kind-change): nothing is published, so the kind is free again. */
        n->digest -= naming_piece_head(s);
        s->ephemeral = op->ephemeral;
        n->digest += naming_piece_head(s);
    }
    if (!s->exists) {
        service_set_exists(n, s, op->ephemeral);
        changes->created = s;
    }
    struct client *c = client_obtain(n, op->client, op->client_kind);
    changes->client = c;
    changes->moved = c->owner != op->owner || c->publication_count == 0;
    struct publication *p = publication_put(n, c, s, op);
    for (struct entry *e = p->entries; e; e = e->next) {
        e->slot->mine = e;
    }
    for (size_t i = 0; i < op->instances_count; i++) {
        publish_one(n, p, &op->instances[i]);
    }
    publish_sweep(n, p, op, changes);
    touch(s, op, changes);
    if (p->count == 0) {
        /* An empty batch: whoever publishes nothing does not keep the service. */
        publication_remove(n, p, REMOVAL_REPLACED, op, changes);
    }
    return 0;
}

/* What a node knows from watching a client (it is silent, its connection is closed) counts only
 * while the client is its own: it may have moved to another node, which hears of it. Owner 0 is a
 * server that is or was alone. */
static bool may_judge(const struct naming_op *op, const struct client *c)
{
    return op->owner == 0 || c->owner == 0 || c->owner == op->owner;
}

static int apply_unpublish(struct naming *n, const struct naming_op *op, struct changes *changes)
{
    struct client *c = client_find(n, op->client);
    struct service *s = service_find(n, &op->service);
    struct publication *p = c && s ? publication_find(c, s) : NULL;
    if (p && (op->reason != REMOVAL_BEAT_EXPIRED || may_judge(op, c))) {
        changes->client = c;
        publication_remove(n, p, op->reason, op, changes);
    }
    return 0;
}

static void remove_all(struct naming *n, struct client *c, const struct naming_op *op,
                       struct changes *changes)
{
    struct publication *p = NULL;
    struct publication *next = NULL;
    HASH_ITER(hh, c->publications, p, next)
    {
        publication_remove(n, p, op->reason, op, changes);
    }
}

static int apply_client_gone(struct naming *n, const struct naming_op *op, struct changes *changes)
{
    struct client *c = client_find(n, op->client);
    if (!c || !may_judge(op, c)) {
        return 0;
    }
    changes->client = c;
    remove_all(n, c, op, changes);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct client *x = *(struct client *const *)a;
    const struct client *y = *(struct client *const *)b;
    return span_cmp(span_of(x->id, x->id_len), span_of(y->id, y->id_len));
}

void naming_apply_owner_gone(struct naming *n, uint64_t owner, int64_t time_ms,
                             struct changes *changes)
{
    ASSERT_ON(THREAD_CORE);
    struct naming_op op = {
        .kind = NAMING_OP_CLIENT_GONE,
        .time_ms = time_ms > 0 ? time_ms : 1, /* 0 would say of an overlay that it is in use */
        .owner = owner,
        .reason = REMOVAL_OWNER_LOST,
    };
    struct client **list = mem_alloc((HASH_COUNT(n->clients) + 1) * sizeof(struct client *));
    size_t count = 0;
    for (struct client *c = n->clients; c; c = c->hh.next) {
        if (c->owner == owner && c->publication_count > 0 && c->kind != CLIENT_PERSISTENT) {
            list[count++] = c;
        }
    }
    qsort(list, count, sizeof(struct client *), by_id);
    for (size_t i = 0; i < count; i++) {
        remove_all(n, list[i], &op, changes);
    }
    changes->gone = list;
    changes->gone_count = count;
}

static void set_health(struct service *s, struct entry *e, bool healthy)
{
    struct instance_data d = instance_as_data(e->published);
    d.healthy = healthy;
    struct instance *changed = instance_create(&d, s->grouped, e->published->client);
    entry_set_published(e, changed);
    if (e->shown_at != ENTRY_HIDDEN) {
        entry_settle(s, e);
        return;
    }
    instance_unref(e->effective);
    e->effective = instance_ref(changed);
}

static int apply_health(struct naming *n, const struct naming_op *op, struct changes *changes)
{
    struct client *c = client_find(n, op->client);
    struct service *s = service_find(n, &op->service);
    struct publication *p = c && s && may_judge(op, c) ? publication_find(c, s) : NULL;
    bool changed = false;
    for (struct entry *e = p ? p->entries : NULL; e; e = e->next) {
        if (e->published->healthy != op->healthy) {
            set_health(s, e, op->healthy);
            changed = changed || e->shown_at != ENTRY_HIDDEN;
        }
    }
    if (changed) {
        changes->unhealthy = !op->healthy;
        touch(s, op, changes);
    } else if (p) {
        touch_behind(s, changes);
    }
    return 0;
}

static int service_missing(const struct naming_op *op, struct fail *fail)
{
    return fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_NOT_EXIST,
                          "service %.*s@@%.*s not found!", SPAN_ARG(op->service.group),
                          SPAN_ARG(op->service.name));
}

static int apply_overlay(struct naming *n, const struct naming_op *op, struct changes *changes,
                         struct fail *fail)
{
    struct service *s = service_find(n, &op->service);
    s = s && s->exists ? s : NULL;
    if (!s) {
        return op->remove ? 0 : overlay_check(NULL, op, fail);
    }
    int err = op->remove ? 0 : overlay_check(s, op, fail);
    if (err) {
        return err;
    }
    if (op->remove) {
        overlay_drop(s, op);
        touch_behind(s, changes);
        return 0;
    }
    struct instance_slot *slot = NULL;
    err = overlay_put(s, op, &slot, fail);
    if (err) {
        return err;
    }
    if (slot->newest) {
        entry_settle(s, slot->newest);
    }
    touch(s, op, changes);
    return 0;
}

static int apply_service_put(struct naming *n, const struct naming_op *op, struct changes *changes,
                             struct fail *fail)
{
    struct service *s = service_find(n, &op->service);
    bool exists = s && s->exists;
    if (op->create && exists) {
        return fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_ALREADY_EXIST,
                              "specified service %.*s already exists!", SPAN_ARG(s->grouped));
    }
    if (!op->create && !exists) {
        return service_missing(op, fail);
    }
    if (!exists) {
        s = service_obtain(n, &op->service);
        service_set_exists(n, s, op->ephemeral);
        changes->created = s;
    }
    n->digest -= naming_piece_record(s);
    s->has_record = true;
    s->protect_threshold = op->protect_threshold;
    mem_free(s->metadata);
    s->metadata = overlay_pairs_copy(op->metadata, op->metadata_count);
    s->metadata_count = op->metadata_count;
    mem_free(s->selector);
    s->selector =
        span_empty(op->selector) ? NULL : mem_strndup(op->selector.data, op->selector.len);
    n->digest += naming_piece_record(s);
    touch(s, op, changes);
    return 0;
}

static int apply_service_remove(struct naming *n, const struct naming_op *op,
                                struct changes *changes, struct fail *fail)
{
    struct service *s = service_find(n, &op->service);
    if (!s || !s->exists) {
        return op->is_explicit ? service_missing(op, fail) : 0;
    }
    if (s->publication_count > 0) {
        return op->is_explicit
                   ? fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_DELETE_FAILURE,
                                    "Service %.*s is not empty, can't be delete. Please unregister "
                                    "instance first",
                                    SPAN_ARG(s->grouped))
                   : 0;
    }
    bool is_seen = op->seen_revision == 0 || op->seen_revision == s->revision;
    if (!op->is_explicit && (s->has_record || !is_seen)) {
        return 0;
    }
    touch(s, op, changes);
    service_set_gone(n, s);
    return 0;
}

int naming_apply(struct naming *n, const struct naming_op *op, struct changes *changes,
                 struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    switch (op->kind) {
    case NAMING_OP_PUBLISH:
        return apply_publish(n, op, changes, fail);
    case NAMING_OP_UNPUBLISH:
        return apply_unpublish(n, op, changes);
    case NAMING_OP_CLIENT_GONE:
        return apply_client_gone(n, op, changes);
    case NAMING_OP_HEALTH:
        return apply_health(n, op, changes);
    case NAMING_OP_OVERLAY:
        return apply_overlay(n, op, changes, fail);
    case NAMING_OP_SERVICE_PUT:
        return apply_service_put(n, op, changes, fail);
    case NAMING_OP_SERVICE_REMOVE:
        return apply_service_remove(n, op, changes, fail);
    case NAMING_OP_FENCE:
        return 0;
    }
    return 0;
}

void changes_close(struct naming *n, struct changes *changes)
{
    ASSERT_ON(THREAD_CORE);
    for (size_t i = 0; i < changes->removed_count; i++) {
        instance_unref(changes->removed[i].instance);
    }
    mem_free(changes->removed);
    mem_free(changes->behind);
    while (changes->touched) {
        struct service *s = changes->touched;
        changes->touched = s->touched_next;
        s->touched = false;
        s->touched_next = NULL;
        service_release(n, s);
    }
    if (changes->client) {
        client_release(n, changes->client);
    }
    for (size_t i = 0; i < changes->gone_count; i++) {
        client_release(n, changes->gone[i]);
    }
    mem_free(changes->gone);
    *changes = (struct changes){0};
}
