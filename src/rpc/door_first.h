/* What a connection on the gRPC port is, judged by its first bytes.
 *
 * Thread:  any; a pure function.
 * Limits:  at most DOOR_HELLO_MAX bytes are looked at. What is decided stays decided, however the
 *          rest is cut into packets.
 * Source:  peer-security.md 7 (the table), RFC 9113 3.4 (HTTP/2's preface).
 */
#ifndef NACRE_RPC_DOOR_FIRST_H
#define NACRE_RPC_DOOR_FIRST_H

#include "base/span.h"
#include "rpc/door_hello.h"

/* What peers ask for. It routes and authorises nobody: whoever sends it still has to show a pinned
 * key. */
#define DOOR_PEER_NAME "peer.nacre.internal"

enum door_first {
    DOOR_FIRST_MORE,  /* not known yet */
    DOOR_FIRST_PLAIN, /* HTTP/2's preface, whole */
    DOOR_FIRST_PEER,  /* a TLS hello for DOOR_PEER_NAME */
    DOOR_FIRST_TLS,   /* any other TLS hello */
    DOOR_FIRST_HTTP1, /* a request line of HTTP/1 */
    DOOR_FIRST_ALIEN, /* anything else */
};

/* Judge what has arrived so far. seen may be cut at DOOR_HELLO_MAX bytes. */
enum door_first door_first_look(struct span seen);

#endif
