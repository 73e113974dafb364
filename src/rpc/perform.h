/* Performing effects: what the core wants of connections becomes mail to their queues.
 *
 * The core's thread packs a message once, finds the streams, and wakes their queues. It never sends
 * itself, because a batch does its write on the calling thread (grpc-core-in-c.md 12). Mails of one
 * thread to one queue stay in order, so what the core says to a connection arrives in the order in
 * which it was said.
 *
 * Thread:  perform_end: any thread that holds rpc->life. The public rpc_perform is here too.
 * Limits:  RPC_FANOUT_CHUNK streams per mail. QUEUE_SENDS_MAX sends wait per queue; further pushes
 *          are dropped and counted (an unacked push is sent again by its feature).
 */
#ifndef NACRE_RPC_PERFORM_H
#define NACRE_RPC_PERFORM_H

#include <stdint.h>

#include <grpc/status.h>

struct rpc;

/* End the stream of a connection; nothing happens when there is none. Its peer counts as closed
 * from now on. */
void perform_end(struct rpc *r, uint64_t key, grpc_status_code status, const char *why);

/* End all streams, on their queues. */
void perform_end_all(struct rpc *r, grpc_status_code status, const char *why);

#endif
