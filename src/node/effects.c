#include "node/effects.h"

#include "api/call.h"
#include "base/assert.h"
#include "base/log.h"
#include "node/peering.h"
#include "rpc/rpc.h"

static void perform(struct effect *e, struct rpc *rpc, struct peering *peers)
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
        if (rpc) {
            rpc_perform(rpc, e);
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

void effects_perform(struct outbox *out, struct rpc *rpc, struct peering *peers)
{
    for (size_t i = 0; i < out->count; i++) {
        perform(&out->list[i], rpc, peers);
    }
    outbox_clear(out, 0);
}
