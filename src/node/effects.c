#include "node/effects.h"

#include "api/call.h"
#include "base/assert.h"
#include "base/log.h"
#include "node/peering.h"
#include "rpc/rpc.h"

static void perform_rpc(void *self, struct effect *e)
{
    rpc_perform(self, e);
}

struct effects_edge effects_edge_rpc(struct rpc *rpc)
{
    return (struct effects_edge){rpc, rpc ? perform_rpc : NULL};
}

static void perform(struct effect *e, const struct effects_edge *edge, struct peering *peers)
{
    switch (e->kind) {
    case EFFECT_REPLY: {
        struct api_call *call = e->u.reply.call;
        e->u.reply.call = NULL;
        call->deliver(call);
        return;
    }
    case EFFECT_PUSH:
    case EFFECT_CONN_ACCEPT:
    case EFFECT_CONN_CLOSE:
        if (edge->perform) {
            edge->perform(edge->self, e);
        }
        return;
    case EFFECT_PROPOSE:
        ASSERT(e->u.propose.op == NULL);
        return;
    case EFFECT_PEER:
        if (peers) {
            peering_perform(peers, e);
        }
        return;
    case EFFECT_TRACE: {
        struct span text = buf_span(e->u.trace.text);
        LOG_INFO(e->u.trace.subsystem, "%.*s", SPAN_ARG(text));
        return;
    }
    }
}

void effects_perform(struct outbox *out, const struct effects_edge *edge, struct peering *peers)
{
    for (size_t i = 0; i < out->count; i++) {
        perform(&out->list[i], edge, peers);
    }
    outbox_clear(out, 0);
}
