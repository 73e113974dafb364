#include "rpc/registry.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "rpc/stream.h"

#include <uthash.h>

struct known {
    uint64_t key;
    struct stream *stream;
    UT_hash_handle hh;
};

struct registry {
    pthread_mutex_t lock; /* guards map */
    struct known *map;
};

struct registry *registry_create(void)
{
    struct registry *r = mem_zalloc(1, sizeof(*r));
    ASSERT(pthread_mutex_init(&r->lock, NULL) == 0);
    return r;
}

void registry_destroy(struct registry *r)
{
    if (!r) {
        return;
    }
    ASSERT(!r->map);
    ASSERT(pthread_mutex_destroy(&r->lock) == 0);
    mem_free(r);
}

static void lock(struct registry *r)
{
    ASSERT(pthread_mutex_lock(&r->lock) == 0);
}

static void unlock(struct registry *r)
{
    ASSERT(pthread_mutex_unlock(&r->lock) == 0);
}

static struct known *find(const struct registry *r, uint64_t key)
{
    struct known *k = NULL;
    HASH_FIND(hh, r->map, &key, sizeof(key), k);
    return k;
}

void registry_add(struct registry *r, uint64_t key, struct stream *s)
{
    struct known *k = mem_zalloc(1, sizeof(*k));
    k->key = key;
    k->stream = stream_ref(s);
    lock(r);
    ASSERT(!find(r, key));
    HASH_ADD(hh, r->map, key, sizeof(k->key), k);
    unlock(r);
}

void registry_remove(struct registry *r, uint64_t key)
{
    lock(r);
    struct known *k = find(r, key);
    if (k) {
        HASH_DEL(r->map, k);
    }
    unlock(r);
    if (k) {
        stream_unref(k->stream);
        mem_free(k);
    }
}

void registry_take(struct registry *r, const uint64_t *keys, size_t count, struct stream **ret)
{
    lock(r);
    for (size_t i = 0; i < count; i++) {
        const struct known *k = find(r, keys[i]);
        ret[i] = k ? stream_ref(k->stream) : NULL;
    }
    unlock(r);
}

size_t registry_count(struct registry *r)
{
    lock(r);
    size_t count = HASH_COUNT(r->map);
    unlock(r);
    return count;
}
