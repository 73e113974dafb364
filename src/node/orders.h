/* What a person asks of the cluster (nacre cluster): who is there, and orders to take in, let go or
 * hand over leadership. Only the leader can carry them out; another node asks it.
 *
 * Whoever asks is told once how it ended, and before that what is waited for.
 *
 * Thread:  core.
 * Owns:    the order that is being carried out here: one at a time (E_CONFLICT).
 * Limits:  ORDERS_WAIT_MS for a node at an address that is to be taken in; a change that has begun
 *          ends by its own limits (node/peering_change.h); ORDERS_TRANSFER_MS for another leader.
 */
#ifndef NACRE_NODE_ORDERS_H
#define NACRE_NODE_ORDERS_H

#include "node/queries.h"

#define ORDERS_WAIT_MS 60000
#define ORDERS_TRANSFER_MS 3000
#define ORDERS_LOOK_MS 100       /* between looks at how far it is */
#define ORDERS_SAY_MS 2000       /* between two progresses at the latest: the asker knows we live */
#define ORDERS_PATIENCE_MS 10000 /* for the leader's next word */
#define ORDERS_MEMBERS_MS 1500   /* for its view of the members; then this node's is shown */

/* Embedded in the core; zero-initialised: none. */
struct orders {
    struct query query; /* kind 0: none */
    uint64_t from;      /* a node; 0: this one */
    query_told_fn told; /* of this one */
    void *arg;
    uint64_t begun_ms;
    uint64_t next_ms;
    uint64_t said_ms;
};

/* Ask: QUERY_MEMBERS, ADD, REMOVE, TRANSFER. told is called exactly once with DONE or FAILED,
 * perhaps before this returns. */
void orders_ask(struct core *c, const struct query *q, query_told_fn told, void *arg,
                struct now now);

/* Another node asks this one. */
void orders_take(struct core *c, uint64_t from, const struct query *q, struct now now);

/* Look how far it is. */
void orders_turn(struct core *c, struct now now);

/* Monotonic ms of the next turn; UINT64_MAX: nothing is being done. */
uint64_t orders_deadline(const struct core *c);

/* The node stops: who waits is told so. */
void orders_stop(struct core *c);

#endif
