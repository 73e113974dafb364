/* The read gate: may a read of replicated state be answered from what this node has? Features ask;
 * who owns the leases (node/peering_lease.c) says. They know nothing else of each other.
 *
 * A read on an edge: is the gate fresh at the time at which the request came, then take the value,
 * then is the value's entry safe. No to either: API_TO_CORE. The order matters: what was fresh
 * before the value was taken stays true of the value, however long the thread is kept from running
 * in between; asked after, a lease that was lost and came back meanwhile would vouch for a value
 * from before. On core the same question is read_gate_holds: it keeps a call that is not fresh
 * until it is, and at most for a while; then the call comes as it is. One whose entry is not safe
 * yet is answered, and its answer held until it is: not asked again, since of a config that changes
 * all the time the newest version is never safe.
 *
 * Thread:  is_fresh, is_safe: any. read_gate_holds: core. The owner publishes on core.
 */
#ifndef NACRE_API_GATE_H
#define NACRE_API_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "base/clock.h"

/* Embedded by its owner. Everybody else holds a pointer; NULL: nobody else writes, all passes. */
struct read_gate {
    atomic_uint_fast64_t until_ms; /* reads that began before this monotonic time are fresh */
    atomic_uint_fast64_t safe;     /* entries up to here may be shown */
    atomic_bool was_asked;         /* since the owner looked: it is worth keeping fresh */
    size_t marked;                 /* calls of this turn with a gate_index; core's */
    /* Keep the call; it is admitted again. False: it is not to wait (any more). */
    bool (*keep)(void *self, struct api_call *take_call, struct now now);
    void *self;
};

/* now: read after the request came and before the value is taken. */
static inline bool read_gate_is_fresh(struct read_gate *g, struct now now)
{
    if (!g) {
        return true;
    }
    /* Readers share the line; it is written once in each look of the owner. */
    if (!atomic_load_explicit(&g->was_asked, memory_order_relaxed)) {
        atomic_store_explicit(&g->was_asked, true, memory_order_relaxed);
    }
    return now.mono_ms < atomic_load_explicit(&g->until_ms, memory_order_acquire);
}

/* index: of the entry that made the value. */
static inline bool read_gate_is_safe(const struct read_gate *g, uint64_t index)
{
    return !g || index <= atomic_load_explicit(&g->safe, memory_order_acquire);
}

/* Must the call wait before it is answered? Then it is kept (API_LATER). Otherwise its answer,
 * which shows this entry, may be held by the owner. */
bool read_gate_holds(struct read_gate *g, struct api_call *call, uint64_t index, struct now now);

/* Has anybody asked whether it is fresh since the last look? Core. */
bool read_gate_look(struct read_gate *g);

/* Publish; safe never goes back. */
void read_gate_set(struct read_gate *g, uint64_t until_ms, uint64_t safe);

#endif
