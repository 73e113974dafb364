/* The peer text of C-core, taken apart.
 *
 * Thread:  any; pure functions.
 * Source:  grpc-core-in-c.md 8, grpc-sdk.md 3.2: "ipv4:10.0.0.7:51234", "ipv6:%5B::1%5D:41856",
 *          "ipv6:[::1]:1", "unix:", "fd:9".
 */
#ifndef NACRE_RPC_ADDRESS_H
#define NACRE_RPC_ADDRESS_H

#include <stdint.h>

#include "base/span.h"

#define ADDRESS_IP_MAX 64

/* ip is NUL-terminated, without brackets. Plain data. */
struct address {
    char ip[ADDRESS_IP_MAX];
    uint16_t port; /* 0: the text has none */
};

/* Address and port of a peer text, for people to read. A text of another form becomes the ip as it
 * is, cut to fit. */
struct address address_parse(struct span peer);

#endif
