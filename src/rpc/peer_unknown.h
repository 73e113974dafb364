/* Calls of methods that the server of peers does not have: UNIMPLEMENTED, and counted. Without
 * somebody who takes them they would hang and leak (rule 1).
 *
 * Thread:  the links' queue.
 * Owns:    the call until its answer is out; it holds the links' life.
 * Source:  grpc-core-in-c.md 0, 4.
 */
#ifndef NACRE_RPC_PEER_UNKNOWN_H
#define NACRE_RPC_PEER_UNKNOWN_H

#include "rpc/links_edge.h"

/* Take the next one; it arms again itself, until the server stops. */
void peer_unknown_arm(struct links *l, grpc_server *server);

#endif
