#include "config/cache.h"

#include "base/assert.h"
#include "base/mem.h"

/* Behind the hand: it comes by here last. */
static void ring_add(struct config *c, struct item *i)
{
    c->cache_count++;
    if (!c->cache_hand) {
        i->cache_prev = i;
        i->cache_next = i;
        c->cache_hand = i;
        return;
    }
    struct item *next = c->cache_hand;
    i->cache_next = next;
    i->cache_prev = next->cache_prev;
    next->cache_prev->cache_next = i;
    next->cache_prev = i;
}

static void ring_remove(struct config *c, struct item *i)
{
    c->cache_count--;
    if (c->cache_hand == i) {
        c->cache_hand = i->cache_next == i ? NULL : i->cache_next;
    }
    i->cache_prev->cache_next = i->cache_next;
    i->cache_next->cache_prev = i->cache_prev;
    i->cache_prev = NULL;
    i->cache_next = NULL;
}

void cache_follow(struct config *c, struct item *i, uint64_t bytes_before, uint64_t bytes_now)
{
    ASSERT(c->content_bytes >= bytes_before);
    c->content_bytes += bytes_now;
    c->content_bytes -= bytes_before;
    if (bytes_now > 0 && !i->cache_next) {
        ring_add(c, i);
    }
    if (bytes_now == 0 && i->cache_next) {
        ring_remove(c, i);
    }
}

static void evict(struct config *c, struct item *i, struct now now)
{
    const struct config_value *hot = i->value;
    struct config_version *formal = hot->formal ? config_version_with(hot->formal, NULL) : NULL;
    struct config_gray gray[CONFIG_GRAY_LIMIT];
    size_t count = hot->gray_count;
    for (size_t g = 0; g < count; g++) {
        gray[g] = hot->gray[g];
        gray[g].version = config_version_with(hot->gray[g].version, NULL);
    }
    struct config_value *cold = config_value_create(formal, gray, count);
    config_version_unref(formal);
    for (size_t g = 0; g < count; g++) {
        config_version_unref(gray[g].version);
    }
    item_set_value(c, i, cold, now);
}

void cache_clear(struct config *c, struct now now)
{
    while (c->cache_hand) {
        ASSERT(c->cache_hand->dirty == 0);
        evict(c, c->cache_hand, now);
    }
}

enum visit { VISIT_DIRTY, VISIT_SPARED, VISIT_EVICTED };

/* The hand is at i: its content goes, unless it has a reason to stay. */
static enum visit visit(struct config *c, struct item *i, struct now now)
{
    if (i->dirty > 0) {
        return VISIT_DIRTY;
    }
    if (atomic_exchange_explicit(&i->value->used, false, memory_order_relaxed)) {
        return VISIT_SPARED;
    }
    evict(c, i, now);
    atomic_fetch_add_explicit(&c->counters.evictions, 1, memory_order_relaxed);
    return VISIT_EVICTED;
}

bool cache_trim(struct config *c, struct now now)
{
    bool was_useful = false;
    size_t idle = 0; /* steps since content went */
    for (size_t steps = 0; steps < CACHE_STEPS_MAX; steps++) {
        /* Twice round without a victim: all that is left waits for the tables. */
        if (c->content_bytes <= c->options.memory_bytes_max || idle > 2 * c->cache_count) {
            return false;
        }
        struct item *i = c->cache_hand;
        ASSERT(i != NULL);
        c->cache_hand = i->cache_next;
        enum visit v = visit(c, i, now);
        was_useful = was_useful || v != VISIT_DIRTY;
        idle = v == VISIT_EVICTED ? 0 : idle + 1;
    }
    /* Only writes in sight: the turn that ends them comes back. */
    return was_useful;
}
