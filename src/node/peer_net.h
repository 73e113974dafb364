/* How frames get to the other nodes: rpc/links in a node, a played network in the simulator.
 *
 * Thread:  create, start, stop, destroy: main. set_members, send: core. What comes back goes to the
 *          struct links_ops that create was given.
 * Owns:    whatever stands behind self, until destroy.
 * Limits:  those of rpc/links.h, which also says what each call means and what order and loss a
 *          frame may meet.
 */
#ifndef NACRE_NODE_PEER_NET_H
#define NACRE_NODE_PEER_NET_H

#include "rpc/links.h"

struct peer_net_ops {
    void (*destroy)(void *self);
    int (*start)(void *self, struct fail *fail);
    void (*stop)(void *self, uint32_t grace_ms);
    struct door_way *(*way)(void *self);
    struct door *(*door)(const void *self);
    void (*set_members)(void *self, const struct link_member *list, size_t count);
    int (*send)(void *self, unsigned slot, unsigned kind, struct body *take_body);
    size_t (*addresses)(void *self, char (*ret)[LINK_IP_MAX], size_t max);
    const struct links_counters *(*counters)(const void *self);
};

/* A way to the others. Plain data, copied; ops NULL: none. */
struct peer_net {
    const struct peer_net_ops *ops;
    void *self;
};

/* Who makes one. Plain data, borrowed for the call. create: as links_create. */
struct peer_net_maker {
    void *self;
    int (*create)(void *self, const struct links_options *options, struct peer_net *ret,
                  struct fail *fail);
};

/* Make rpc/links. What links_create says. */
extern const struct peer_net_maker peer_net_links;

#endif
