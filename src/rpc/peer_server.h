/* The incoming half of all links: a C-core server of its own for peers, behind peer_tls.h's
 * verifier.
 *
 * It knows one method; a stream begins with a hello whose id must be that of the TLS key. The key
 * is compared with the pins for each call and for each message, since a connection outlives a pin.
 * A newer stream of a peer ends the older.
 *
 * Thread:  create, start, shutdown, destroy: main. The rest: the links' queue.
 * Limits:  PEER_ARMED calls wait to be taken at once; PEER_HELLO_MS until a stream's hello; of
 *          connections: peer_listen.h.
 * Source:  peer-security.md 3, 5; grpc-core-in-c.md 0, 4, 5, 7, 13.
 */
#ifndef NACRE_RPC_PEER_SERVER_H
#define NACRE_RPC_PEER_SERVER_H

#include "rpc/links_edge.h"

#define PEER_ARMED 16
#define PEER_HELLO_MS 5000

/* Bind and listen. E_IO with address and reason */
MUST_USE int peer_server_create(struct links *l, struct peer_server **ret, uint16_t *ret_port,
                                struct fail *fail);

/* For the front door of the clients' port (door_set_peer), between start and shutdown; NULL when it
 * cannot be used with this C-core. */
struct door_way *peer_server_way(struct peer_server *s);

/* The door of the peers' own port, which lives as long as the server; NULL: C-core listens itself.
 */
struct door *peer_server_door(const struct peer_server *s);

/* Serve. The queue's thread must run. E_LIMIT  no thread for the door; shut it down all the same */
MUST_USE int peer_server_start(struct peer_server *s, struct fail *fail);

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
