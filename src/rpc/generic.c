#include "rpc/generic.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/edge.h"

#define METHOD_SHOWN_MAX 128

struct generic {
    struct tag on_new;
    struct tag on_answered;
    struct queue *queue;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
};

static void on_new(struct tag *tag, bool ok);
static void on_answered(struct tag *tag, bool ok);

void generic_arm(struct queue *q)
{
    struct generic *g = mem_zalloc(1, sizeof(*g));
    g->queue = q;
    g->on_new.fn = on_new;
    g->on_answered.fn = on_answered;
    grpc_call_details_init(&g->details);
    grpc_metadata_array_init(&g->metadata);
    grpc_call_error err = grpc_server_request_call(q->rpc->server, &g->call, &g->details,
                                                   &g->metadata, q->cq, q->cq, &g->on_new);
    ASSERT(err == GRPC_CALL_OK);
}

static void generic_destroy(struct generic *g)
{
    grpc_call_details_destroy(&g->details);
    grpc_metadata_array_destroy(&g->metadata);
    mem_free(g);
}

static void on_answered(struct tag *tag, bool ok)
{
    (void)ok;
    struct generic *g = CONTAINER_OF(tag, struct generic, on_answered);
    struct life *life = &g->queue->rpc->life;
    grpc_call_unref(g->call);
    generic_destroy(g);
    life_leave(life);
}

static void on_new(struct tag *tag, bool ok)
{
    struct generic *g = CONTAINER_OF(tag, struct generic, on_new);
    if (!ok) {
        generic_destroy(g); /* the server stops */
        return;
    }
    struct rpc *r = g->queue->rpc;
    generic_arm(g->queue); /* rule 1: re-arm first, work second */
    life_enter(&r->life);
    count_up(&r->counters.requests);
    count_up(&r->counters.refused);
    char text[METHOD_SHOWN_MAX + 32];
    size_t len = GRPC_SLICE_LENGTH(g->details.method);
    snprintf(text, sizeof(text), "unknown method %.*s",
             (int)(len < METHOD_SHOWN_MAX ? len : METHOD_SHOWN_MAX),
             (const char *)GRPC_SLICE_START_PTR(g->details.method));
    grpc_slice why = grpc_slice_from_copied_string(text);
    grpc_op ops[3] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[1].data.send_status_from_server.status_details = &why;
    ops[2].op = GRPC_OP_RECV_CLOSE_ON_SERVER; /* rule 2 */
    ops[2].data.recv_close_on_server.cancelled = &g->cancelled;
    grpc_call_error err = grpc_call_start_batch(g->call, ops, 3, &g->on_answered, NULL);
    ASSERT(err == GRPC_CALL_OK);
    grpc_slice_unref(why);
}
