/* Peers: which client connection a call comes from.
 *
 * C-core has no user data per connection, but the peer text of all calls on one transport is the
 * same: it is the key that joins a ServerCheck, the stream and the unary calls (rule 4: taken when
 * the call arrives). The table maps it to an origin: the peer, with what its setup said.
 *
 * Thread:  any. 16 shards, each with a mutex that guards its map and its list; held only to find
 *          and to change.
 * Owns:    a reference to each origin. A reference that is handed out is the caller's.
 * Limits:  RPC_PEERS_MAX addresses. One without a stream is forgotten RPC_PEER_IDLE_MS after it was
 *          first seen, or earlier when the table is full (oldest first).
 * Source:  grpc-sdk.md 3.1, 3.2.
 */
#ifndef NACRE_RPC_PEERS_H
#define NACRE_RPC_PEERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/span.h"
#include "conn/conn.h"
#include "conn/peer.h"

#define PEERS_SHARDS 16

/* A peer and what its setup said of it; immutable, reference-counted. Texts are empty before the
 * setup. */
struct origin {
    atomic_uint refs;
    struct peer *peer;
    struct span client_ip;
    struct span app;
    struct span agent;
    struct span tag; /* label app_Vipserver-Tag: gray configs (grpc-sdk.md 5.3.1) */
    char text[];
};

/* One reference less; NULL is fine. */
void origin_unref(struct origin *o);

struct peers;

/* An empty table. */
struct peers *peers_create(void);

/* NULL is fine. */
void peers_destroy(struct peers *p);

/* The origin of an address, a reference; NULL when it is not known. */
MUST_USE struct origin *peers_find(struct peers *p, struct span address);

/* As peers_find, and an address that is not known gets a new peer and thereby an id. NULL when the
 * table is full. */
MUST_USE struct origin *peers_meet(struct peers *p, struct span address, struct now now);

/* A setup came on a stream of this address: bind the address to it. *ret_origin (a reference) has
 * the id that a ServerCheck was told before. When the address is bound already, the transport
 * before it is dead or misused: it gets a new peer, and *ret_replaced is the key of the old one,
 * otherwise 0. E_LIMIT  the table is full */
MUST_USE int peers_bind(struct peers *p, struct span address, const struct conn_setup *setup,
                        struct now now, struct origin **ret_origin, uint64_t *ret_replaced);

/* The stream of this peer is over. Another one that took the address meanwhile stays (generation:
 * the key). */
void peers_unbind(struct peers *p, struct span address, uint64_t key);

/* Forget addresses that never opened a stream. */
void peers_sweep(struct peers *p, uint64_t now_ms);

/* How many addresses are known. */
size_t peers_count(const struct peers *p);

#endif
