/* The other members, seen from the log: what libraft sends becomes bytes for the wire, bytes that
 * come become messages for the driver, and snapshots go and come in pieces.
 *
 * Thread:  core.
 * Owns:    what is on its way of a snapshot, either way. Borrows driver and storage.
 * Split:   entries that do not fit into CONSENSUS_MESSAGE_SPLIT travel in several messages.
 */
#ifndef NACRE_CONSENSUS_RAFT_PEERS_H
#define NACRE_CONSENSUS_RAFT_PEERS_H

#include <stdint.h>

#include "base/macros.h"
#include "base/span.h"
#include "consensus/consensus.h"
#include "consensus/raft_companion.h"
#include "consensus/raft_driver.h"

struct raft_peers;

/* Plain data, copied. */
struct raft_peers_options {
    uint64_t id; /* this node's */
    struct consensus_wire wire;
    struct raft_storage storage;
    uint64_t (*now_ms)(void *self);
    void (*on_fail)(void *self, int err);    /* a snapshot cannot be read: a libraft code */
    void *self;                              /* of now_ms and on_fail */
    struct raft_companion_options companion; /* outgoing NULL: snapshots have none */
};

/* Before the driver, which sends with raft_peers_wire. */
MUST_USE struct raft_peers *raft_peers_create(const struct raft_peers_options *options);

/* The storage has no request under way any more. NULL is fine. */
void raft_peers_destroy(struct raft_peers *p);

/* What the driver sends with; and, once it is there, the driver. */
struct raft_wire raft_peers_wire(struct raft_peers *p);
void raft_peers_attach(struct raft_peers *p, struct raft_driver *driver);

/* Send nothing and read nothing from here on: the storage is about to close. */
void raft_peers_mute(struct raft_peers *p);

/* Bytes from a member (consensus_receive). */
void raft_peers_receive(struct raft_peers *p, uint64_t from, struct span message);

/* Let time pass; when the next tick is wanted (UINT64_MAX: not). */
void raft_peers_tick(struct raft_peers *p);
uint64_t raft_peers_deadline(const struct raft_peers *p);

/* Messages that were refused, damaged snapshots among them. */
uint64_t raft_peers_refused(const struct raft_peers *p);

/* Snapshots that are being sent. */
unsigned raft_peers_offers(const struct raft_peers *p);

#endif
