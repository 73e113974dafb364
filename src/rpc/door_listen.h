/* The listening sockets of a gRPC port, as C-core's own listener would make them.
 *
 * The same: "0.0.0.0" and "::" mean any family, one dual-stack socket where there is IPv6; a name
 * listens on all its addresses, and one that works is enough; SO_REUSEADDR without REUSEPORT;
 * TCP_NODELAY, and TCP_USER_TIMEOUT (unacknowledged data ends a connection), which connections
 * inherit; the system's longest backlog.
 *
 * Thread:  any; a name is looked up and waited for.
 * Owns:    the sockets in *ret; close them with door_listen_close.
 * Limits:  DOOR_SOCKETS_MAX addresses of a name.
 * Source:  gRPC 1.51.1 tcp_server_posix.cc, tcp_server_utils_posix_common.cc.
 */
#ifndef NACRE_RPC_DOOR_LISTEN_H
#define NACRE_RPC_DOOR_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

#define DOOR_SOCKETS_MAX 8

/* Embedded. Plain data. */
struct door_sockets {
    int fds[DOOR_SOCKETS_MAX];
    size_t count;
    uint16_t port;
};

/* Bind and listen; non-blocking. port 0: the system picks one, the same for all addresses.
 * user_timeout_ms 0: the system's.
 * E_IO  with address and reason */
MUST_USE int door_listen(const char *bind, uint16_t port, uint32_t user_timeout_ms,
                         struct door_sockets *ret, struct fail *fail);

/* Leaves it empty; again is fine. */
void door_listen_close(struct door_sockets *s);

#endif
