/* The edge's own struct, seen by the files of this folder only.
 *
 * Thread:  made and ended by main. In between options, server, methods, types and the ready-made
 *          messages are read by all threads and change no more; peers, registry, counters and life
 *          look after themselves.
 */
#ifndef NACRE_RPC_EDGE_H
#define NACRE_RPC_EDGE_H

#include <grpc/grpc.h>

#include "rpc/door_way.h"
#include "rpc/life.h"
#include "rpc/queue.h"
#include "rpc/rpc.h"

struct door;
struct message;
struct peers;
struct registry;
struct types;

/* How long a stream may take: stream.h. Set once, before the start; tests make them short. */
struct stream_times {
    uint32_t setup_ms;
    uint32_t send_ms;
    uint32_t linger_ms;
};

struct rpc {
    struct rpc_options options;
    struct stream_times times;
    grpc_server *server;
    void *unary_method;
    void *stream_method;
    struct door *door; /* accepts for the server; NULL: C-core listens itself */
    struct door_way way;
    grpc_channel *lame; /* carries the calls that wake the queues */
    uint16_t port;
    struct queue queues[RPC_QUEUES];
    struct types *types;
    struct peers *peers;
    struct registry *registry;
    /* Answers that never change, packed once. */
    struct message *says_starting;
    struct message *says_unregistered;
    struct message *says_no_handler;
    struct message *says_healthy;
    struct rpc_counters counters;
    struct life life;
    struct tag on_stopped;
    atomic_bool is_stopped; /* the server's own shutdown is complete */
};

/* A figure one up. */
static inline void count_up(atomic_ulong *figure)
{
    atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

#endif
