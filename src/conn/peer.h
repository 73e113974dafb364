/* A peer: one client connection as both its edge and the core know it.
 *
 * Thread:  any; the identity never changes after peer_create, state and active_ms are atomics.
 * Owns:    its texts. Reference-counted.
 * Source:  grpc-sdk.md 3.1 to 3.3; id format of Nacos 2.5.1
 *          core/.../remote/grpc/AddressTransportFilter.java.
 */
#ifndef NACRE_CONN_PEER_H
#define NACRE_CONN_PEER_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/span.h"

enum peer_state {
    PEER_TRANSPORT,  /* seen, no setup yet: only ServerCheck is answered */
    PEER_REGISTERED, /* the core accepted its setup */
    PEER_CLOSED,     /* the stream is over or was ended: 301 */
};

struct peer {
    atomic_uint refs;
    atomic_int state;           /* enum peer_state; moved by core (accept) and edge (close) */
    _Atomic uint64_t active_ms; /* monotonic; last request or ack */
    uint64_t key;               /* unique in this process, never reused, not 0 */
    char id[96];                /* "{millis}_{ip}_{port}" */
    char remote_ip[64];
    uint16_t remote_port;
};

/* A peer in PEER_TRANSPORT with one reference. wall_ms and the address make its id. */
struct peer *peer_create(struct span remote_ip, uint16_t remote_port, int64_t wall_ms,
                         uint64_t mono_ms);

/* One more reference; returns p. */
struct peer *peer_ref(struct peer *p);

/* One reference less; NULL is fine. */
void peer_unref(struct peer *p);

#endif
