#include "view/view.h"

#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(ptr, size) mem_free(ptr)
#include <uthash.h>

/* main loads what the tables hold before the core runs. */
#define ASSERT_WRITER() ASSERT(thread_kind() == THREAD_CORE || thread_kind() == THREAD_MAIN)

#define VIEW_SHARDS_LOG2 6
#define VIEW_SHARDS (1u << VIEW_SHARDS_LOG2)

struct entry {
    UT_hash_handle hh;
    struct view_value *value; /* one reference; NULL: stale */
    int64_t stamp;            /* the last one drawn */
    char key[];
};

/* On its own cache line, so that readers of different shards do not slow each other down. */
struct shard {
    alignas(64) pthread_mutex_t lock; /* guards entries, their values and stamps */
    struct entry *entries;
    int64_t told; /* greatest stamp of a key that had, or has, no entry */
};

struct view {
    struct shard shards[VIEW_SHARDS];
};

/* The shard by the hash's high bits, the place in its table by the low ones: both from one hash. */
struct place {
    struct shard *shard;
    unsigned hashv;
};

static struct place place_of(struct view *v, struct span key)
{
    uint64_t hash = hash_bytes(key.data, key.len);
    return (struct place){&v->shards[hash >> (64 - VIEW_SHARDS_LOG2)], (unsigned)hash};
}

static void lock(struct shard *s)
{
    ASSERT(pthread_mutex_lock(&s->lock) == 0);
}

static void unlock(struct shard *s)
{
    ASSERT(pthread_mutex_unlock(&s->lock) == 0);
}

/* Called with the lock, as all below that take a place. */
static struct entry *entry_find(struct place at, struct span key)
{
    struct entry *e = NULL;
    const char *bytes = key.len > 0 ? key.data : "";
    HASH_FIND_BYHASHVALUE(hh, at.shard->entries, bytes, key.len, at.hashv, e);
    return e;
}

static struct entry *entry_find_or_add(struct place at, struct span key)
{
    struct entry *e = entry_find(at, key);
    if (e) {
        return e;
    }
    /* Only the core adds, after its limits: a longer key from outside is merely not found. */
    ASSERT(key.len <= VIEW_KEY_MAX);
    e = mem_alloc(sizeof *e + key.len);
    *e = (struct entry){.stamp = at.shard->told};
    if (key.len > 0) {
        memcpy(e->key, key.data, key.len);
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, at.shard->entries, e->key, key.len, at.hashv, e);
    return e;
}

static int64_t stamp_draw(struct entry *e, int64_t wall_ms)
{
    e->stamp = wall_ms > e->stamp ? wall_ms : e->stamp + 1;
    return e->stamp;
}

/* Of a key without an entry: the clock may be put back, who was told before is not. */
static int64_t stamp_tell(struct shard *s, int64_t wall_ms)
{
    s->told = wall_ms > s->told ? wall_ms : s->told;
    return s->told;
}

/* As stamp_draw, but many takes in one millisecond do not carry the stamp away from the clock. */
static int64_t stamp_take(struct entry *e, int64_t wall_ms)
{
    return e->stamp - wall_ms < VIEW_STAMP_LEAD_MAX_MS ? stamp_draw(e, wall_ms) : e->stamp;
}

struct view_value *view_value_ref(struct view_value *v)
{
    unsigned before = atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    ASSERT(before < UINT32_MAX);
    return v;
}

void view_value_unref(struct view_value *v)
{
    if (!v) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        v->destroy(v);
    }
}

struct view *view_create(void)
{
    void *memory = NULL;
    ASSERT(posix_memalign(&memory, alignof(struct view), sizeof(struct view)) == 0);
    struct view *v = memory;
    memset(v, 0, sizeof(*v));
    for (unsigned i = 0; i < VIEW_SHARDS; i++) {
        ASSERT(pthread_mutex_init(&v->shards[i].lock, NULL) == 0);
    }
    return v;
}

static void shard_close(struct shard *s)
{
    struct entry *e = NULL;
    struct entry *next = NULL;
    HASH_ITER(hh, s->entries, e, next)
    {
        HASH_DELETE(hh, s->entries, e);
        view_value_unref(e->value);
        mem_free(e);
    }
    ASSERT(pthread_mutex_destroy(&s->lock) == 0);
}

void view_destroy(struct view *v)
{
    if (!v) {
        return;
    }
    for (unsigned i = 0; i < VIEW_SHARDS; i++) {
        shard_close(&v->shards[i]);
    }
    mem_free(v);
}

enum view_take view_take(struct view *v, struct span key, int64_t wall_ms,
                         struct view_value **ret_value, int64_t *ret_stamp)
{
    struct place at = place_of(v, key);
    enum view_take take = VIEW_NONE;
    *ret_value = NULL;
    lock(at.shard);
    struct entry *e = entry_find(at, key);
    if (e) {
        take = VIEW_STALE;
    }
    if (e && e->value) {
        take = VIEW_FRESH;
        *ret_value = view_value_ref(e->value);
        *ret_stamp = stamp_take(e, wall_ms);
    }
    if (take == VIEW_NONE) {
        *ret_stamp = stamp_tell(at.shard, wall_ms);
    }
    unlock(at.shard);
    return take;
}

int64_t view_publish(struct view *v, struct span key, int64_t wall_ms,
                     struct view_value *take_value)
{
    ASSERT_WRITER();
    ASSERT(take_value);
    struct place at = place_of(v, key);
    lock(at.shard);
    struct entry *e = entry_find_or_add(at, key);
    struct view_value *old = e->value;
    e->value = take_value;
    int64_t stamp = stamp_draw(e, wall_ms);
    unlock(at.shard);
    /* What destroys a value may be slow: never under the lock. */
    view_value_unref(old);
    return stamp;
}

void view_spoil(struct view *v, struct span key)
{
    ASSERT_WRITER();
    struct place at = place_of(v, key);
    lock(at.shard);
    struct entry *e = entry_find_or_add(at, key);
    struct view_value *old = e->value;
    e->value = NULL;
    unlock(at.shard);
    view_value_unref(old);
}

void view_remove(struct view *v, struct span key)
{
    ASSERT_WRITER();
    struct place at = place_of(v, key);
    lock(at.shard);
    struct entry *e = entry_find(at, key);
    if (e) {
        HASH_DELETE(hh, at.shard->entries, e);
        (void)stamp_tell(at.shard, e->stamp);
    }
    unlock(at.shard);
    if (e) {
        view_value_unref(e->value);
        mem_free(e);
    }
}

int64_t view_stamp(struct view *v, struct span key, int64_t wall_ms)
{
    struct place at = place_of(v, key);
    lock(at.shard);
    struct entry *e = entry_find(at, key);
    int64_t stamp = e ? stamp_draw(e, wall_ms) : stamp_tell(at.shard, wall_ms);
    unlock(at.shard);
    return stamp;
}

size_t view_count(struct view *v)
{
    size_t count = 0;
    for (unsigned i = 0; i < VIEW_SHARDS; i++) {
        lock(&v->shards[i]);
        count += HASH_COUNT(v->shards[i].entries);
        unlock(&v->shards[i]);
    }
    return count;
}
