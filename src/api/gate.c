#include "api/gate.h"

#include "base/assert.h"
#include "base/thread.h"

bool read_gate_holds(struct read_gate *g, struct api_call *call, uint64_t index, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    call->gate_index = 0;
    if (call->is_as_it_is) {
        return false;
    }
    if (!read_gate_is_fresh(g, now)) {
        return g->keep(g->self, call, now);
    }
    if (!read_gate_is_safe(g, index)) {
        call->gate_index = index;
        g->marked++;
    }
    return false;
}

bool read_gate_look(struct read_gate *g)
{
    ASSERT_ON(THREAD_CORE);
    return atomic_load_explicit(&g->was_asked, memory_order_relaxed) &&
           atomic_exchange_explicit(&g->was_asked, false, memory_order_relaxed);
}

void read_gate_set(struct read_gate *g, uint64_t until_ms, uint64_t safe)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(safe >= atomic_load_explicit(&g->safe, memory_order_relaxed));
    atomic_store_explicit(&g->until_ms, until_ms, memory_order_release);
    atomic_store_explicit(&g->safe, safe, memory_order_release);
}
