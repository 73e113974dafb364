/* A snapshot on its way to followers: read once, cut into pieces, a few of them on their way at a
 * time, so that what else goes over the connection is not held up.
 *
 * Thread:  the driver's. The file is read by the storage, off this thread.
 * Owns:    what was read, for as long as one follower gets it: one buffer of the snapshot's size
 *          however many followers there are (a second one when a newer snapshot is asked for
 *          meanwhile). libraft's storage reads a snapshot whole; what is large goes in its
 *          companion (raft_companion.h), which follows it and is read piece by piece.
 * Pace:    RAFT_OFFER_WINDOW pieces of RAFT_OFFER_PIECE_BYTES beyond what was acknowledged. When
 *          nothing was for RAFT_OFFER_RETRY_MS they go again; after RAFT_OFFER_GIVE_UP_MS it ends,
 *          and libraft, which asks again with every heartbeat, begins a new one.
 * Repeat:  a request for a follower that gets one already, or took over this one within
 *          RAFT_OFFER_HOLD_MS (it is still writing it to its disk), is ignored.
 */
#ifndef NACRE_CONSENSUS_RAFT_OFFER_H
#define NACRE_CONSENSUS_RAFT_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "consensus/raft_codec.h"
#include "consensus/raft_companion.h"
#include "consensus/raft_storage.h"

#define RAFT_OFFER_PIECE_BYTES (1u << 20)
#define RAFT_OFFER_WINDOW 4
#define RAFT_OFFER_RETRY_MS 2000
#define RAFT_OFFER_GIVE_UP_MS 20000
#define RAFT_OFFER_HOLD_MS 5000
#define RAFT_OFFER_AGAIN_MS 5000 /* after a companion that could not be made or read */

struct raft_offers;

/* Plain data, copied. */
struct raft_offers_options {
    struct raft_storage storage;
    struct raft_companion *companion; /* NULL: there is none; outlives the offers' reads */
    /* A piece for member to; borrowed for the call. May be lost. */
    void (*send)(void *self, uint64_t to, const struct raft_piece *piece);
    /* The snapshot cannot be read: a libraft code. */
    void (*on_fail)(void *self, int err);
    void *self;
};

/* Nothing is on its way. */
MUST_USE struct raft_offers *raft_offers_create(const struct raft_offers_options *options);

/* Nothing goes any more, and no read begins: storage and companion are about to close. */
void raft_offers_stop(struct raft_offers *o);

/* The storage has no read of it under way any more. NULL is fine. */
void raft_offers_destroy(struct raft_offers *o);

/* libraft wants message->server_id to have the newest snapshot (RAFT_INSTALL_SNAPSHOT). */
void raft_offers_want(struct raft_offers *o, const struct raft_message *message, uint64_t now_ms);

/* A follower says what it has. Anything that does not fit is ignored. */
void raft_offers_ack(struct raft_offers *o, uint64_t from, const struct raft_piece_ack *ack,
                     uint64_t now_ms);

/* Let time pass. Offers of another term than leading end: 0 means that this node does not lead. */
void raft_offers_tick(struct raft_offers *o, uint64_t leading, uint64_t now_ms);

/* When the next tick is due; UINT64_MAX: none. */
uint64_t raft_offers_deadline(const struct raft_offers *o);

/* Followers that get a snapshot now, and buffers held for them. */
unsigned raft_offers_count(const struct raft_offers *o);
unsigned raft_offers_buffers(const struct raft_offers *o);

#endif
