/* Where peers come in: the arguments of their C-core server, and its port (main + 1001), with a
 * door of its own in front of it (rpc/door.h) where this C-core can be given connections; where it
 * cannot, C-core listens itself.
 *
 * What the door does for peers that C-core's listener does not: strangers' handshakes have a rate,
 * of an address and of all, silence costs a socket and no more, everybody is counted.
 *
 * Thread:  main.
 * Owns:    the door, until peer_listen_close. Embedded by the server's owner; it must stay where it
 *          is as long as the server lives.
 * Limits:  the door's; PEER_STREAMS_MAX streams per connection; PEER_HANDSHAKE_MS for the first
 *          bytes, and again for the handshake; connections without a stream are closed after
 *          PEER_IDLE_MS; one whose caller is silent after PEER_PING_MS + PEER_PING_WAIT_MS;
 *          PEER_QUOTA_BYTES of buffers for all.
 * Source:  peer-security.md 3, 7, 9; grpc-core-in-c.md 7.
 */
#ifndef NACRE_RPC_PEER_LISTEN_H
#define NACRE_RPC_PEER_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include <grpc/grpc.h>

#include "base/fail.h"
#include "rpc/door_way.h"

#define PEER_STREAMS_MAX 8
#define PEER_IDLE_MS 10000
#define PEER_HANDSHAKE_MS 5000
/* A caller finds a dead peer itself, in LINK_DEAD_MS, and its next stream ends the older one. What
 * the server's own pings end is only what nobody will replace: there is no haste. */
#define PEER_PING_MS 10000
#define PEER_PING_WAIT_MS 10000
#define PEER_QUOTA_BYTES ((size_t)512 << 20)

struct door;

/* Embedded, zero-initialised. Plain data. */
struct peer_listen {
    bool uses_ways;        /* this C-core can be given connections */
    struct door_way front; /* from the clients' port; handler NULL: none */
    struct door_way own;   /* from the door below; each way has one door, so none needs a lock */
    struct door *door;     /* NULL: C-core listens itself */
    uint16_t port;
};

/* A server with the arguments for peers, not started, without a port. no_door: as if this C-core
 * could not be given connections. */
grpc_server *peer_listen_create_server(struct peer_listen *p, bool no_door);

/* Open the ways, bind and listen; port 0: the system picks. Nobody is accepted yet.
 * E_IO  address, and the reason in words */
MUST_USE int peer_listen_bind(struct peer_listen *p, grpc_server *server,
                              grpc_server_credentials *creds, const char *bind, uint16_t port,
                              struct fail *fail);

/* Let peers in. After grpc_server_start. E_LIMIT  no thread */
MUST_USE int peer_listen_start(struct peer_listen *p, struct fail *fail);

/* Nobody is let in any more when it returns. Before the server's shutdown; again is fine. */
void peer_listen_stop(struct peer_listen *p);

/* Stops, if need be; its figures are gone. */
void peer_listen_close(struct peer_listen *p);

#endif
