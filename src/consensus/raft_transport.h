/* A transport for raft_uv that carries nothing: our messages go their own way (raft_wire.h), and
 * raft_uv wants one to open its files.
 *
 * Thread:  the loop's.
 */
#ifndef NACRE_CONSENSUS_RAFT_TRANSPORT_H
#define NACRE_CONSENSUS_RAFT_TRANSPORT_H

struct raft_uv_transport;

/* Fill *t, which is the caller's and outlives the raft_io it is given to. */
void raft_transport_init(struct raft_uv_transport *t);

#endif
