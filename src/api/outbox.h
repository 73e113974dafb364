/* The outbox: what the core wants done, as plain structs. node/ hands each to its edge at the end
 * of the turn.
 *
 * Thread:  core only.
 * Owns:    what each effect carries, until the effect is performed or the outbox is closed.
 * Limits:  grows with a turn's work, which loop's LOOP_BATCH_MAX bounds; the memory is reused.
 */
#ifndef NACRE_API_OUTBOX_H
#define NACRE_API_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "consensus/consensus.h"

struct api_call;

/* What a frame between nodes holds. Stands on the wire: numbers never change. */
enum peer_frame {
    PEER_HELLO = 1,      /* who is there (cluster/membership.h) */
    PEER_RAFT = 2,       /* a message of the log (consensus.h) */
    PEER_OPERATIONS = 3, /* operations for the leader's log (cluster/proposals.h) */
    PEER_ALIVE = 4,      /* an owner lives */
    PEER_NAMING = 5,     /* beats that the owner of an instance should hear of (naming.h) */
    PEER_LEASE = 6,      /* who may answer reads (cluster/lease.h) */
    PEER_DIGEST = 8,     /* what the log made of a node (cluster/digests.h) */
    PEER_QUERY = 20,     /* a question or an order of a person (cluster/query.h) ... */
    PEER_ANSWER = 21,    /* ... and what came of it */
};

enum effect_kind {
    EFFECT_REPLY,       /* give an answered call back to its edge */
    EFFECT_PUSH,        /* one message to several connections, its bytes shared */
    EFFECT_CONN_ACCEPT, /* a connection is registered; its SetupAck when due */
    EFFECT_CONN_CLOSE,  /* end a connection's stream */
    EFFECT_PROPOSE,     /* put an operation into the log */
    EFFECT_PEER,        /* a frame to another node */
    EFFECT_TRACE,       /* one line for the log */
};

/* How a stream ends (grpc-sdk.md 3.8: UNAVAILABLE makes every client reconnect). */
enum conn_end {
    CONN_END_UNAVAILABLE, /* gRPC status 14 */
    CONN_END_EXHAUSTED,   /* gRPC status 8: over a limit */
};

struct effect {
    enum effect_kind kind;
    union {
        struct {
            struct api_call *call;
        } reply;
        struct {
            const char *type; /* static */
            struct body body;
            uint64_t *conns; /* mem_alloc'ed, owned */
            size_t count;
        } push;
        struct {
            uint64_t conn;
            struct body setup_ack; /* empty: none */
        } accept;
        struct {
            uint64_t conn;
            enum conn_end how;
            struct buf *why; /* text for the client and the log */
        } close;
        struct {
            enum consensus_kind kind;
            struct buf *op;
            struct api_call *waiting; /* answered after commit; NULL: nobody waits */
        } propose;
        struct {
            uint64_t node; /* its number (cluster/identity.h) */
            unsigned kind; /* enum peer_frame */
            struct body body;
        } peer;
        struct {
            const char *subsystem; /* static */
            struct buf *text;
        } trace;
    } u;
};

/* Embedded by its owner; zero-initialised is empty. */
struct outbox {
    struct effect *list;
    size_t count;
    size_t cap;
};

/* Give call back to its edge. */
void outbox_reply(struct outbox *o, struct api_call *take_call);

/* Take back the reply of call that was emitted at index from or later. False: there is none. */
bool outbox_take_reply(struct outbox *o, size_t from, const struct api_call *call);

/* Take back each reply that take says; then the call is taken's. */
void outbox_take_replies(struct outbox *o, bool (*take)(void *self, struct api_call *call),
                         void *self);

/* Send body to each of count connections; takes the body and the array (mem_alloc'ed). */
void outbox_push(struct outbox *o, const char *type, struct body *take_body, uint64_t *take_conns,
                 size_t count);

/* As outbox_push, to one connection. */
void outbox_push_one(struct outbox *o, const char *type, struct body *take_body, uint64_t conn);

/* The connection counts as registered; setup_ack may be empty. Takes the body. */
void outbox_accept(struct outbox *o, uint64_t conn, struct body *take_setup_ack);

/* End the connection's stream with a reason. */
void outbox_close_conn(struct outbox *o, uint64_t conn, enum conn_end how, struct span why);

/* Put op into the log; takes the reference. waiting is handed back with the commit (or the
 * rejection). */
void outbox_propose(struct outbox *o, enum consensus_kind kind, struct buf *take_op,
                    struct api_call *waiting);

/* Send a frame to another node; takes the body. Lost when there is no link. */
void outbox_peer(struct outbox *o, uint64_t node, enum peer_frame kind, struct body *take_body);

/* One log line at INFO: "event=... key=value ...". */
void outbox_trace(struct outbox *o, const char *subsystem, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Release what the effects from index from on still own, and empty the list to from. Calls in them
 * are not delivered. */
void outbox_clear(struct outbox *o, size_t from);

/* Free the list too. */
void outbox_close(struct outbox *o);

#endif
