/* What this node's clients publish goes back into the log after the node was given up. */
#include "naming/restore.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/push.h"

#define KEY_MAX (VIEW_KEY_MAX + NAMING_OP_CLIENT_MAX)

/* One publication that is to be put back. */
struct restore {
    struct buf *op;
    enum client_kind kind;
    bool is_proposed;
    UT_hash_handle hh; /* in restores.table */
    size_t service_len;
    size_t key_len;
    char key[]; /* the service's view key, then the client's id */
};

void publication_as_op(const struct publication *p, struct arena *arena, struct now now,
                       struct naming_op *ret)
{
    struct instance_data *list = arena_alloc(arena, (p->count + 1) * sizeof(*list));
    size_t at = p->count;
    for (const struct entry *e = p->entries; e; e = e->next) {
        list[--at] =
            instance_as_data(e->published); /* the last one becomes the first of the list */
        list[at].healthy = list[at].healthy || p->client->kind == CLIENT_HTTP;
    }
    *ret = (struct naming_op){
        .kind = NAMING_OP_PUBLISH,
        .time_ms = now.wall_ms,
        .service = p->service->name,
        .client = span_of(p->client->id, p->client->id_len),
        .client_kind = p->client->kind,
        .ephemeral = p->client->kind != CLIENT_PERSISTENT,
        .batch = p->batch,
        .instances = list,
        .instances_count = p->count,
    };
}

static struct span client_of(const struct restore *r)
{
    return span_of(r->key + r->service_len, r->key_len - r->service_len);
}

static struct service *service_of(const struct naming *n, const struct restore *r)
{
    struct service *s = NULL;
    HASH_FIND(hh, n->services, r->key, r->service_len, s);
    return s;
}

/* NULL when op is about nothing that is kept. */
static struct restore *find(const struct naming *n, const struct naming_op *op)
{
    char service[VIEW_KEY_MAX];
    char key[KEY_MAX];
    struct restore *r = NULL;
    if (!n->restores.table || op->client.len > NAMING_OP_CLIENT_MAX) {
        return NULL;
    }
    struct span from = service_name_key(&op->service, service);
    memcpy(key, from.data, from.len);
    memcpy(key + from.len, op->client.data, op->client.len);
    HASH_FIND(hh, n->restores.table, key, from.len + op->client.len, r);
    return r;
}

static void restore_free(struct naming *n, struct restore *r)
{
    if (n->restores.at == r) {
        n->restores.at = r->hh.next;
    }
    HASH_DELETE(hh, n->restores.table, r);
    buf_unref(r->op);
    mem_free(r);
    if (!n->restores.table) {
        n->restores.due_ms = DEADLINE_NONE;
        n->restores.hold_ms = DEADLINE_NONE;
    }
}

/* Subscribers hear of the service now: of what is back, or of what will not be. */
static void unhold(struct naming *n, struct service *s, struct now now)
{
    s->restores = 0;
    if (s->subscriber_count > 0) {
        push_changed(n, s, now);
    }
}

static void drop(struct naming *n, struct restore *r, struct now now)
{
    struct service *s = service_of(n, r);
    restore_free(n, r);
    if (!s || s->restores == 0) {
        return;
    }
    s->restores--;
    if (s->restores == 0) {
        unhold(n, s, now);
    }
}

static void keep(struct naming *n, struct publication *p, struct now now)
{
    struct service *s = p->service;
    struct client *c = p->client;
    struct arena arena;
    struct naming_op op = {0};
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    publication_as_op(p, &arena, now, &op);
    struct restore *had = find(n, &op);
    if (had) {
        drop(n, had, now);
    }
    struct restore *r = mem_zalloc(1, sizeof(*r) + s->key_len + c->id_len);
    r->op = naming_op_encode(&op);
    r->kind = c->kind;
    r->service_len = s->key_len;
    r->key_len = s->key_len + c->id_len;
    memcpy(r->key, s->key, s->key_len);
    memcpy(r->key + s->key_len, c->id, c->id_len);
    HASH_ADD_KEYPTR(hh, n->restores.table, r->key, r->key_len, r);
    s->restores++;
    arena_close(&arena);
}

static bool is_living(const struct naming *n, const struct publication *p, struct now now)
{
    const struct client *c = p->client;
    if (c->owner != n->options.self || p->is_leaving) {
        return false;
    }
    if (c->kind == CLIENT_CONNECTION) {
        return c->conn != 0 && !c->gone;
    }
    return now.mono_ms <= p->beat_ms + n->options.beat_timeout_ms;
}

static void propose_fence(struct naming *n, struct now now, struct outbox *out)
{
    struct naming_op op = {
        .kind = NAMING_OP_FENCE,
        .time_ms = now.wall_ms,
        .fence = n->restores.fence,
    };
    outbox_propose(out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    n->restores.due_ms = now.mono_ms + naming_retry_ms(n);
}

void restore_begin(struct naming *n, struct now now)
{
    struct restores *all = &n->restores;
    if (n->options.self == 0 || n->is_replaying) {
        return;
    }
    for (struct client *c = n->clients; c; c = c->hh.next) {
        for (struct publication *p = c->publications; p; p = p->hh.next) {
            if (is_living(n, p, now)) {
                keep(n, p, now);
            }
        }
    }
    if (!all->table) {
        return;
    }
    for (struct restore *r = all->table; r; r = r->hh.next) {
        r->is_proposed = false;
    }
    all->at = NULL;
    all->is_fenced = true;
    all->fence++;
    all->hold_ms = now.mono_ms + RESTORE_HOLD_MS;
    all->due_ms = now.mono_ms;
}

void restore_drop(struct naming *n, const struct naming_op *op, struct now now)
{
    struct restore *r = find(n, op);
    if (r) {
        drop(n, r, now);
    }
}

void restore_committed(struct naming *n, const struct naming_op *op, struct now now)
{
    struct restores *all = &n->restores;
    if (!all->table) {
        return;
    }
    if (op->kind == NAMING_OP_FENCE) {
        if (op->owner == n->options.self && all->is_fenced && op->fence == all->fence) {
            all->is_fenced = false;
            all->at = all->table;
            all->due_ms = now.mono_ms;
        }
        return;
    }
    if (op->kind != NAMING_OP_PUBLISH && op->kind != NAMING_OP_UNPUBLISH) {
        return;
    }
    struct restore *r = find(n, op);
    if (!r) {
        return;
    }
    if (r->is_proposed && op->kind == NAMING_OP_PUBLISH) {
        atomic_fetch_add_explicit(&n->counters.restored, 1, memory_order_relaxed);
    }
    drop(n, r, now);
}

bool restore_holds(const struct naming *n, const struct service *s)
{
    return s->restores > 0 && n->restores.hold_ms != DEADLINE_NONE;
}

/* Whoever closed its connection meanwhile, or publishes again, is as it wants to be. */
static bool is_wanted(struct naming *n, const struct restore *r)
{
    const struct client *c = client_find(n, client_of(r));
    const struct service *s = service_of(n, r);
    if (c && s && publication_find(c, s)) {
        return false;
    }
    return r->kind != CLIENT_CONNECTION || (c && c->conn != 0 && !c->gone);
}

void restore_review(struct naming *n, struct now now)
{
    struct restore *r = NULL;
    struct restore *next = NULL;
    HASH_ITER(hh, n->restores.table, r, next)
    {
        if (!is_wanted(n, r)) {
            drop(n, r, now);
        }
    }
}

static void propose_batch(struct naming *n, struct now now, struct outbox *out)
{
    struct restores *all = &n->restores;
    for (int i = 0; i < RESTORE_BATCH && all->at; i++) {
        struct restore *r = all->at;
        all->at = r->hh.next;
        if (!is_wanted(n, r)) {
            drop(n, r, now);
            continue;
        }
        r->is_proposed = true;
        outbox_propose(out, CONSENSUS_NAMING, buf_ref(r->op), NULL);
    }
    if (all->table) {
        all->due_ms = all->at ? now.mono_ms : now.mono_ms + naming_retry_ms(n);
    }
}

static void end_hold(struct naming *n, struct now now)
{
    n->restores.hold_ms = DEADLINE_NONE;
    for (const struct restore *r = n->restores.table; r; r = r->hh.next) {
        struct service *s = service_of(n, r);
        if (s && s->restores > 0) {
            unhold(n, s, now);
        }
    }
}

void restore_turn(struct naming *n, struct now now, struct outbox *out)
{
    struct restores *all = &n->restores;
    if (!all->table) {
        return;
    }
    if (now.mono_ms >= all->hold_ms) {
        end_hold(n, now);
    }
    if (now.mono_ms < all->due_ms) {
        return;
    }
    if (all->is_fenced) {
        propose_fence(n, now, out);
        return;
    }
    all->at = all->at ? all->at : all->table; /* else some were lost on their way */
    propose_batch(n, now, out);
}

uint64_t restore_deadline(const struct naming *n)
{
    const struct restores *all = &n->restores;
    if (!all->table) {
        return DEADLINE_NONE;
    }
    return all->due_ms < all->hold_ms ? all->due_ms : all->hold_ms;
}

void restore_close(struct naming *n)
{
    struct restore *r = NULL;
    struct restore *next = NULL;
    HASH_ITER(hh, n->restores.table, r, next)
    {
        restore_free(n, r);
    }
}
