/* How the driver's messages leave the node. raft_peers.h has one, tests and simulation play one, a
 * node alone has none.
 *
 * Thread:  the driver's.
 * Loss:    a message may be lost, late, repeated or out of order; libraft sends again.
 */
#ifndef NACRE_CONSENSUS_RAFT_WIRE_H
#define NACRE_CONSENSUS_RAFT_WIRE_H

#include "consensus/raft_lib.h"

struct raft_wire_ops {
    /* The message, its entries, its snapshot and its address are borrowed for the call: encode or
     * copy. message->server_id says who gets it. Must not call back into the driver. The version
     * byte of the message travels with it. */
    void (*send)(void *self, const struct raft_message *message);
    /* A RAFT_INSTALL_SNAPSHOT without data is due to message->server_id: read it from the storage
     * and bring it there. Called again and again until it arrived. NULL: the driver reads it whole
     * and hands it to send. */
    void (*snapshot)(void *self, const struct raft_message *message);
};

struct raft_wire {
    const struct raft_wire_ops *ops;
    void *self;
};

#endif
