/* A way into a C-core server for connections that somebody else accepted.
 *
 * C-core has it for C++'s AddExternalConnectionAcceptor only: a pseudo-port "external:..." of a
 * server puts a handler object where a pointer argument of the same name says, and the handler
 * takes descriptors. Pseudo-port, argument and the object's layout are internal, so all that knows
 * them is this file, and it believes nothing: configure time   pkg-config's grpc is exactly 29.0.0,
 * else all this is compiled out (NACRE_FRONT_DOOR=0; also the CMake option of that name) start time
 * grpc_version_string(), the symbol that makes handlers; then a server of its own is started and
 * given one end of a socket pair, whose other end must read SETTINGS every handler    table,
 * function and type name lie in libgrpc.so.29 and are the right ones Whoever finds it unusable uses
 * a real port.
 *
 * Thread:  any, one at a time for one way. door_way_give: also never before grpc_server_start nor
 *          after the server's shutdown began: C-core crashes. The owner's lock sees to that.
 * Owns:    nothing; the handler belongs to the server. The struct must live as long as the server.
 * Source:  peer-security.md 7 (guard), transport-costs.md 5; gRPC 1.51.1 chttp2_server.cc,
 *          tcp_server_posix.cc (ExternalConnectionHandler).
 */
#ifndef NACRE_RPC_DOOR_WAY_H
#define NACRE_RPC_DOOR_WAY_H

#include <grpc/grpc.h>

#include "base/fail.h"

#define DOOR_WAY_PLAIN "external:plain"
#define DOOR_WAY_PEER "external:peer"         /* peers at the clients' port */
#define DOOR_WAY_PEER_OWN "external:peer-own" /* and at their own */
#define DOOR_WAY_GRPC "29.0.0"                /* the C-core that all this was tried with */
#define DOOR_WAY_TEST_MS 1000                 /* for the self-test; it takes about 1 */

/* Embedded by whoever owns the server. Plain data: name is one of the above or another
 * "external:...". */
struct door_way {
    const char *name;
    void *handler; /* C-core's; NULL until door_way_open */
};

/* Whether this library can be used: version, symbol, and a connection that is really served. Starts
 * and stops a small server; grpc_init must have been called.
 * E_UNSUPPORTED  and in which respect it differs */
MUST_USE int door_way_check(struct fail *fail);

/* The argument that grpc_server_create needs for way. It points to way. */
grpc_arg door_way_arg(struct door_way *way);

/* Add the pseudo-port to a server that was created with the argument and is not started.
 * E_UNSUPPORTED  no handler came, or not the one that we know: nothing may be given to it */
MUST_USE int door_way_open(struct door_way *way, grpc_server *server,
                           grpc_server_credentials *creds, struct fail *fail);

/* Let the server have a connection: take_fd is non-blocking and connected, and C-core's from here.
 * What was not read of it is read by the server. listen_fd: where it was accepted. */
void door_way_give(struct door_way *way, int listen_fd, int take_fd);

/* The two checks alone, for tests: a version text, and an object that claims to be a handler. */
MUST_USE int door_way_check_version(const char *version, struct fail *fail);
MUST_USE int door_way_check_handler(const void *handler, struct fail *fail);

#endif
