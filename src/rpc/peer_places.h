/* Where members have proved their keys: the addresses of streams, in either direction, whose other
 * end is pinned. The front door does not limit their handshakes (door_set_members); a name in the
 * list would prove less and had to be resolved.
 *
 * Thread:  the caller's lock.
 * Owns:    what is embedded.
 * Limits:  PLACES_MAX addresses; then the one that was proved longest ago is forgotten.
 */
#ifndef NACRE_RPC_PEER_PLACES_H
#define NACRE_RPC_PEER_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "cluster/identity.h"
#include "rpc/address.h"

#define PLACES_MAX 64

struct peer_place {
    struct node_id id;
    char ip[ADDRESS_IP_MAX];
    uint64_t order; /* grows; 0: free */
};

/* Embedded; zero-initialised is empty. Plain data. */
struct peer_places {
    struct peer_place list[PLACES_MAX];
    uint64_t last;
};

/* The key was proved at this address (C-core's peer text; one that is no IP address is ignored). */
void peer_places_add(struct peer_places *p, const struct node_id *id, struct span peer);

/* Addresses of these keys, each once, at most max; returns how many. */
size_t peer_places_of(const struct peer_places *p, const struct node_id *ids, size_t count,
                      char (*ret)[ADDRESS_IP_MAX], size_t max);

#endif
