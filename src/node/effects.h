/* Performing effects: each is handed to its edge.
 *
 * Thread:  core, at the end of a turn.
 */
#ifndef NACRE_NODE_EFFECTS_H
#define NACRE_NODE_EFFECTS_H

#include "api/outbox.h"

struct rpc;
struct peering;

/* Perform everything in out and leave it empty. Proposals were taken before (asserted). rpc may be
 * NULL: pushes and connection effects are dropped (tests). peers: NULL for a node alone. */
void effects_perform(struct outbox *out, struct rpc *rpc, struct peering *peers);

#endif
