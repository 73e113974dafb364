#include "rpc/peers.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "rpc/address.h"
#include "rpc/rpc.h"

#include <uthash.h>
#include <utlist.h>

/* One address. Bound: a stream of it had its setup. Otherwise it is in its shard's list, oldest
 * first. */
struct entry {
    struct origin *origin;
    bool is_bound;
    uint64_t seen_ms;
    int64_t id_ms; /* the milliseconds in the id of its peer */
    struct entry *prev;
    struct entry *next;
    UT_hash_handle hh;
    unsigned address_len;
    char address[];
};

struct shard {
    pthread_mutex_t lock; /* guards map and unbound */
    struct entry *map;
    struct entry *unbound;
};

struct peers {
    atomic_size_t count;
    struct shard shards[PEERS_SHARDS];
};

static struct origin *origin_create(struct peer *take_peer, const struct conn_setup *setup)
{
    struct span ip = setup ? setup->client_ip : (struct span){0};
    struct span app = setup ? conn_setup_label(setup, "AppName") : (struct span){0};
    struct span agent = setup ? setup->client_version : (struct span){0};
    struct span tag = setup ? conn_setup_label(setup, "app_Vipserver-Tag") : (struct span){0};
    struct origin *o = mem_zalloc(1, sizeof(*o) + ip.len + app.len + agent.len + tag.len);
    atomic_init(&o->refs, 1);
    o->peer = take_peer;
    char *at = o->text;
    struct span *texts[] = {&ip, &app, &agent, &tag};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i]->len > 0) {
            memcpy(at, texts[i]->data, texts[i]->len);
        }
        texts[i]->data = at;
        at += texts[i]->len;
    }
    o->client_ip = ip;
    o->app = app;
    o->agent = agent;
    o->tag = tag;
    return o;
}

static struct origin *origin_ref(struct origin *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void origin_unref(struct origin *o)
{
    if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) {
        peer_unref(o->peer);
        mem_free(o);
    }
}

struct peers *peers_create(void)
{
    struct peers *p = mem_zalloc(1, sizeof(*p));
    for (unsigned i = 0; i < PEERS_SHARDS; i++) {
        ASSERT(pthread_mutex_init(&p->shards[i].lock, NULL) == 0);
    }
    return p;
}

static void lock(struct shard *s)
{
    ASSERT(pthread_mutex_lock(&s->lock) == 0);
}

static void unlock(struct shard *s)
{
    ASSERT(pthread_mutex_unlock(&s->lock) == 0);
}

static void unlist(struct shard *s, struct entry *e)
{
    ASSERT(e->prev);
    ASSERT(e->prev == e || e != s->unbound || e->next); /* the first of several has a next */
    DL_DELETE(s->unbound, e);
}

static void entry_remove(struct peers *p, struct shard *s, struct entry *e)
{
    HASH_DEL(s->map, e);
    if (!e->is_bound) {
        unlist(s, e);
    }
    origin_unref(e->origin);
    mem_free(e);
    atomic_fetch_sub(&p->count, 1);
}

void peers_destroy(struct peers *p)
{
    if (!p) {
        return;
    }
    for (unsigned i = 0; i < PEERS_SHARDS; i++) {
        struct entry *e = NULL;
        struct entry *next = NULL;
        HASH_ITER(hh, p->shards[i].map, e, next)
        {
            entry_remove(p, &p->shards[i], e);
        }
        ASSERT(pthread_mutex_destroy(&p->shards[i].lock) == 0);
    }
    mem_free(p);
}

/* The shard from the upper half of the hash, the bucket from the lower. */
static struct shard *shard_of(struct peers *p, struct span address, unsigned *ret_hash)
{
    uint64_t hash = hash_bytes(address.data, address.len);
    *ret_hash = (unsigned)hash;
    return &p->shards[(hash >> 32) % PEERS_SHARDS];
}

static struct entry *find(struct shard *s, struct span address, unsigned hash)
{
    struct entry *e = NULL;
    HASH_FIND_BYHASHVALUE(hh, s->map, address.data, address.len, hash, e);
    return e;
}

static void forget_old(struct peers *p, struct shard *s, uint64_t now_ms)
{
    while (s->unbound && s->unbound->seen_ms + RPC_PEER_IDLE_MS <= now_ms) {
        entry_remove(p, s, s->unbound);
    }
}

static struct peer *peer_of(struct span address, struct now now)
{
    struct address a = address_parse(address);
    return peer_create(span_str(a.ip), a.port, now.wall_ms, now.mono_ms);
}

/* The entry of an address, a new one when need be; NULL when the table is full of bound ones. */
static struct entry *obtain(struct peers *p, struct shard *s, struct span address, unsigned hash,
                            struct now now)
{
    forget_old(p, s, now.mono_ms);
    struct entry *e = find(s, address, hash);
    if (e) {
        return e;
    }
    if (atomic_load(&p->count) >= RPC_PEERS_MAX) {
        if (!s->unbound) {
            return NULL;
        }
        entry_remove(p, s, s->unbound);
    }
    e = mem_zalloc(1, sizeof(*e) + address.len);
    e->origin = origin_create(peer_of(address, now), NULL);
    e->seen_ms = now.mono_ms;
    e->id_ms = now.wall_ms;
    e->address_len = (unsigned)address.len;
    memcpy(e->address, address.data, address.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->map, e->address, e->address_len, hash, e);
    DL_APPEND(s->unbound, e);
    atomic_fetch_add(&p->count, 1);
    return e;
}

struct origin *peers_find(struct peers *p, struct span address)
{
    unsigned hash = 0;
    struct shard *s = shard_of(p, address, &hash);
    lock(s);
    struct entry *e = find(s, address, hash);
    struct origin *o = e ? origin_ref(e->origin) : NULL;
    unlock(s);
    return o;
}

struct origin *peers_meet(struct peers *p, struct span address, struct now now)
{
    unsigned hash = 0;
    struct shard *s = shard_of(p, address, &hash);
    lock(s);
    struct entry *e = obtain(p, s, address, hash, now);
    struct origin *o = e ? origin_ref(e->origin) : NULL;
    unlock(s);
    return o;
}

/* The peer for a new stream: the one that the ServerCheck was told, or, when that has a stream
 * already, another one. Their ids differ in the milliseconds. */
static struct peer *peer_for_stream(struct entry *e, struct span address, struct now now)
{
    if (!e->is_bound) {
        return peer_ref(e->origin->peer);
    }
    if (now.wall_ms <= e->id_ms) {
        now.wall_ms = e->id_ms + 1;
    }
    e->id_ms = now.wall_ms;
    return peer_of(address, now);
}

int peers_bind(struct peers *p, struct span address, const struct conn_setup *setup, struct now now,
               struct origin **ret_origin, uint64_t *ret_replaced)
{
    unsigned hash = 0;
    struct shard *s = shard_of(p, address, &hash);
    lock(s);
    struct entry *e = obtain(p, s, address, hash, now);
    if (!e) {
        unlock(s);
        return E_LIMIT;
    }
    struct origin *old = e->origin;
    uint64_t replaced = e->is_bound ? old->peer->key : 0;
    e->origin = origin_create(peer_for_stream(e, address, now), setup);
    if (!e->is_bound) {
        unlist(s, e);
        e->is_bound = true;
    }
    *ret_origin = origin_ref(e->origin);
    unlock(s);
    *ret_replaced = replaced;
    origin_unref(old);
    return 0;
}

void peers_unbind(struct peers *p, struct span address, uint64_t key)
{
    unsigned hash = 0;
    struct shard *s = shard_of(p, address, &hash);
    lock(s);
    struct entry *e = find(s, address, hash);
    if (e && e->is_bound && e->origin->peer->key == key) {
        entry_remove(p, s, e);
    }
    unlock(s);
}

void peers_sweep(struct peers *p, uint64_t now_ms)
{
    for (unsigned i = 0; i < PEERS_SHARDS; i++) {
        lock(&p->shards[i]);
        forget_old(p, &p->shards[i], now_ms);
        unlock(&p->shards[i]);
    }
}

size_t peers_count(const struct peers *p)
{
    return atomic_load(&p->count);
}
