#include "rpc/peer_unknown.h"

#include "base/assert.h"
#include "base/mem.h"

struct unknown {
    struct tag on_new;
    struct tag on_answered;
    struct links *links;
    grpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
};

static void on_new(struct tag *tag, bool ok);
static void on_answered(struct tag *tag, bool ok);

void peer_unknown_arm(struct links *l, grpc_server *server)
{
    struct unknown *u = mem_zalloc(1, sizeof(*u));
    u->links = l;
    u->server = server;
    u->on_new.fn = on_new;
    u->on_answered.fn = on_answered;
    grpc_call_details_init(&u->details);
    grpc_metadata_array_init(&u->metadata);
    grpc_completion_queue *cq = l->queue.cq;
    grpc_call_error err =
        grpc_server_request_call(server, &u->call, &u->details, &u->metadata, cq, cq, &u->on_new);
    ASSERT(err == GRPC_CALL_OK);
}

static void free_unknown(struct unknown *u)
{
    grpc_call_details_destroy(&u->details);
    grpc_metadata_array_destroy(&u->metadata);
    mem_free(u);
}

static void on_answered(struct tag *tag, bool ok)
{
    (void)ok;
    struct unknown *u = CONTAINER_OF(tag, struct unknown, on_answered);
    struct life *life = &u->links->life;
    grpc_call_unref(u->call);
    free_unknown(u);
    life_leave(life);
}

static void on_new(struct tag *tag, bool ok)
{
    struct unknown *u = CONTAINER_OF(tag, struct unknown, on_new);
    if (!ok) {
        free_unknown(u); /* the server stops */
        return;
    }
    peer_unknown_arm(u->links, u->server);
    life_enter(&u->links->life);
    links_count(&peer_pins_counters(u->links->pins)->refused_frames, 1);
    grpc_slice why = grpc_slice_from_static_string("peers know one method: " LINKS_METHOD);
    grpc_op ops[3] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[1].data.send_status_from_server.status_details = &why;
    ops[2].op = GRPC_OP_RECV_CLOSE_ON_SERVER; /* rule 2 */
    ops[2].data.recv_close_on_server.cancelled = &u->cancelled;
    grpc_call_error err =
        grpc_call_start_batch(u->call, ops, ARRAY_LEN(ops), &u->on_answered, NULL);
    ASSERT(err == GRPC_CALL_OK);
}
