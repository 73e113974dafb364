/* The C-core server: its arguments and its port.
 *
 * Thread:  main, before the start.
 * Limits:  LISTEN_QUOTA_BYTES for all of C-core's buffers: a fuse, not a limiter (grpc-core-in-c.md
 *          11).
 * Rule 6:  a listener of C-core that meets EMFILE is dead until a restart. The front door (door.h)
 *          is none; where it cannot be used, accept_guard.h keeps that from happening. The limit of
 *          open files must be above nacre.connections.max all the same (node/ raises it and
 *          checks), because connections that never register count too. Clients over
 *          nacre.connections.max are sent away, and go.
 * Source:  grpc-core-in-c.md 7, 9; grpc-sdk.md 4.2.
 */
#ifndef NACRE_RPC_LISTEN_H
#define NACRE_RPC_LISTEN_H

#include <stdint.h>

#include <grpc/grpc.h>

#include "base/fail.h"
#include "rpc/door_way.h"
#include "rpc/rpc.h"

#define LISTEN_QUOTA_BYTES ((size_t)2 << 30)
#define LISTEN_METADATA_MAX (16 << 10)

/* A server with our arguments, not started, without a port. way: it will take connections from
 * there (door_way.h); NULL: it will not. */
grpc_server *listen_create_server(const struct rpc_options *options, struct door_way *way);

/* Let C-core itself bind and listen. E_IO with address and reason. */
MUST_USE int listen_bind(grpc_server *server, const char *bind, uint16_t port, uint16_t *ret_port,
                         struct fail *fail);

#define LISTEN_NO_ADDRESS (-1)
#define LISTEN_NO_REASON "gRPC gives no reason"

/* C-core only says that a bind failed; the system says why to whoever asks again. 0: it does not
 * fail; LISTEN_NO_ADDRESS: host is a name; else the error number. */
MUST_USE int listen_try(const char *host, uint16_t port);

/* From now on C-core's own log lines go to ours, errors as warnings: they are rarely what an
 * operator can mend. */
void listen_watch_log(void);

#endif
