#include "config/config_gate.h"

#include "config/state.h"

static uint64_t index_of(const struct config_edge *edge, const struct config_value *value)
{
    return value ? value->index : atomic_load_explicit(&edge->removed_index, memory_order_acquire);
}

bool config_gate_is_safe(const struct config_edge *edge, const struct config_value *value)
{
    return !edge->gate || read_gate_is_safe(edge->gate, index_of(edge, value));
}

bool config_gate_holds(const struct config *c, const struct item *i, struct api_call *call,
                       struct now now)
{
    const struct config_edge *edge = &c->edge;
    const struct config_value *value = i ? i->value : NULL;
    return edge->gate && read_gate_holds(edge->gate, call, index_of(edge, value), now);
}

bool config_gate_is_behind(const struct config *c, struct api_call *call, struct now now)
{
    return c->edge.gate && read_gate_holds(c->edge.gate, call, 0, now);
}
