/* The gRPC edge on main port + 1000: the only folder that knows gRPC.
 *
 * The front door (door.h) accepts, C-core serves; where this C-core is not the one that the door
 * was made for, C-core also listens, and one line of the log says so.
 *
 * Unary /Request/request and stream /BiRequestStream/requestBiStream of
 * proto/nacos_grpc_service.proto on C-core: four completion queues, four threads. A request is
 * decoded here, read from the view here when its row can, and otherwise mailed to the core; answers
 * and pushes come back as effects and are sent by the queue threads.
 *
 * Thread:  rpc_create, rpc_start, rpc_stop, rpc_destroy: main. rpc_perform: core. Calls are
 *          delivered from any thread.
 * Limits:  rpc_options; RPC_STREAM_QUEUE_MAX messages and RPC_STREAM_BYTES_MAX bytes wait per
 *          stream, beyond that the stream ends with UNAVAILABLE (the client reconnects and asks for
 *          full state, which is cheaper than a queue).
 * Source:  grpc-core-in-c.md (rules by number), grpc-sdk.md 1.4, 3, 4.2.
 */
#ifndef NACRE_RPC_RPC_H
#define NACRE_RPC_RPC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/core_mail.h"
#include "api/outbox.h"
#include "api/row.h"
#include "base/fail.h"

#define RPC_QUEUES 4
#define RPC_ARMED 64         /* request slots per queue and method */
#define RPC_FANOUT_CHUNK 128 /* sends started in one go by a queue thread */
#define RPC_STREAM_QUEUE_MAX 1024
#define RPC_STREAM_BYTES_MAX (32u << 20)
#define RPC_PEERS_MAX 65536    /* addresses remembered, registered or not */
#define RPC_PEER_IDLE_MS 60000 /* an address that never opened a stream is forgotten after this */

/* Shared figures, written by the edge, read by metrics. */
struct rpc_counters {
    atomic_ulong requests;
    atomic_ulong failures;
    atomic_ulong pushes;
    atomic_ulong push_drops; /* stream gone or over its limit */
    atomic_ulong streams_open;
    atomic_ulong refused; /* unknown type, unregistered, not started */
};

/* Per request type: how often and how long. Index as in rpc_row_stats. */
struct rpc_row_stats {
    const char *type;
    atomic_ulong ok;
    atomic_ulong failed;
    atomic_ulong nanos; /* sum */
};

struct rpc_options {
    const char *bind; /* "0.0.0.0" (any family) or an address */
    uint16_t port;    /* 0: the system picks; see rpc_port */
    size_t receive_max_bytes;
    uint32_t keepalive_ms;
    uint32_t keepalive_timeout_ms;
    uint32_t handshake_timeout_ms;
    uint32_t streams_per_conn_max;
    const struct api_rows *features; /* borrowed until rpc_destroy */
    size_t features_count;
    struct core_port core;
    api_permit_fn permit; /* may be NULL */
    void *permit_self;
    const atomic_bool *ready; /* false: every unary call is answered 300 */
    /* true: health checks fail, so that clients that were asked to leave do; NULL: never */
    const atomic_bool *leaving;
    bool no_door; /* C-core listens itself, as where the front door cannot be used */
};

struct door;
struct rpc;

/* E_IO with address and reason when the port cannot be bound. */
MUST_USE int rpc_create(const struct rpc_options *options, struct rpc **ret_rpc, struct fail *fail);

/* Begin to serve. */
MUST_USE int rpc_start(struct rpc *r, struct fail *fail);

/* The bound port. */
uint16_t rpc_port(const struct rpc *r);

/* The front door (rpc/door.h) on that port, to register peers with; NULL when it cannot be used and
 * C-core listens itself. Borrowed until rpc_destroy; it gives nothing away after rpc_stop began. */
struct door *rpc_door(const struct rpc *r);

/* Perform a PUSH, CONN_ACCEPT or CONN_CLOSE effect; takes what it carries and leaves the effect
 * empty. */
void rpc_perform(struct rpc *r, struct effect *take_effect);

/* Graceful stop in the order of grpc-core-in-c.md 13: no new calls, streams end with UNAVAILABLE,
 * wait up to grace_ms, cancel the rest. The core must still run (calls in it are answered). Blocks
 * until all queues are drained and threads joined. */
void rpc_stop(struct rpc *r, uint32_t grace_ms);

/* After rpc_stop. */
void rpc_destroy(struct rpc *r);

/* Borrowed until rpc_destroy. Any thread. */
const struct rpc_counters *rpc_counters(const struct rpc *r);

/* The table of figures per request type; *ret_count entries. */
const struct rpc_row_stats *rpc_row_stats(const struct rpc *r, size_t *ret_count);

#endif
