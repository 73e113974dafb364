/* The incoming half of all links: a C-core server of its own for peers, behind peer_tls.h's
 * verifier.
 *
 * It knows one method; a stream begins with a hello whose id must be that of the TLS key. The key
 * is compared with the pins for each call and for each message, since a connection outlives a pin.
 * A newer stream of a peer ends the older.
 *
 * Thread:  create, start, shutdown, destroy: main. The rest: the links' queue.
 * Limits:  PEER_ARMED calls wait to be taken at once; PEER_STREAMS_MAX streams per connection;
 *          PEER_HELLO_MS until the hello; connections without a stream are closed after
 *          PEER_IDLE_MS; one whose caller is silent after PEER_PING_MS + PEER_PING_WAIT_MS;
 *          PEER_QUOTA_BYTES of buffers for all.
 * Source:  peer-security.md 3, 5; grpc-core-in-c.md 0, 4, 5, 7, 13.
 */
#ifndef NACRE_RPC_PEER_SERVER_H
#define NACRE_RPC_PEER_SERVER_H

#include "rpc/links_edge.h"

#define PEER_ARMED 16
#define PEER_STREAMS_MAX 8
#define PEER_HELLO_MS 5000
#define PEER_IDLE_MS 10000
#define PEER_HANDSHAKE_MS 5000
/* A caller finds a dead peer itself, in LINK_DEAD_MS, and its next stream ends the older one. What
 * the server's own pings end is only what nobody will replace: there is no haste. */
#define PEER_PING_MS 10000
#define PEER_PING_WAIT_MS 10000
#define PEER_QUOTA_BYTES ((size_t)512 << 20)

/* Bind and listen. E_IO with address and reason */
MUST_USE int peer_server_create(struct links *l, struct peer_server **ret, uint16_t *ret_port,
                                struct fail *fail);

/* For the front door of the clients' port (door_set_peer), between start and shutdown; NULL when it
 * cannot be used with this C-core. */
struct door_way *peer_server_way(struct peer_server *s);

/* Serve. The queue's thread must run. */
void peer_server_start(struct peer_server *s);

/* No new connections; the server's own end of it holds the links' life. */
void peer_server_shutdown(struct peer_server *s);

/* End all streams with a status. */
void peer_server_end_all(struct peer_server *s);

/* Cancel what is left. Any thread. */
void peer_server_cancel_all(struct peer_server *s);

/* End the streams of those who are not pinned any more. */
void peer_server_cut(struct peer_server *s);

/* After the shutdown is complete. NULL is fine. */
void peer_server_destroy(struct peer_server *s);

#endif
