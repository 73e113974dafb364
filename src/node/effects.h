/* Performing effects: each is handed to its edge.
 *
 * Thread:  core, at the end of a turn.
 */
#ifndef NACRE_NODE_EFFECTS_H
#define NACRE_NODE_EFFECTS_H

#include "api/outbox.h"

struct rpc;
struct peering;

/* Who performs pushes and connection effects: rpc/ in a node, played clients in the simulator.
 * Plain data. perform takes what e carries or leaves it. */
struct effects_edge {
    void *self;
    void (*perform)(void *self, struct effect *e); /* NULL: they are dropped (tests) */
};

/* rpc as an edge; NULL: none. */
struct effects_edge effects_edge_rpc(struct rpc *rpc);

/* Perform everything in out and leave it empty. Proposals were taken before (asserted). peers: NULL
 * for a node alone. */
void effects_perform(struct outbox *out, const struct effects_edge *edge, struct peering *peers);

#endif
