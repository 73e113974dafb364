/* Read leases: which node may answer a read of replicated state from what it has, and up to which
 * entry of the log an answer can be given that nobody else contradicts. A pure state machine:
 * time and the log's state come in, frames go out.
 *
 * What it gives (the whole node, node/peering_lease.c):
 *   fresh  A node reads its clock, sees that lease_until lies after it, and then takes a value:
 *          the value holds every write that was answered before the clock was read.
 *   safe   Every node that may answer reads, now or later, has applied the log up to lease_safe. A
 *          value made by an entry up to there may be shown: no later reader gets an older one. A
 *          write whose entry lies up to there may be answered.
 *
 * How: the leader of a term, once an entry of its own term is committed and applied, begins a round
 * every LEASE_ROUND_MS (lease_leader.h). A follower acks, and with that holds nothing of earlier
 * terms any more (lease_holder.h). When a quorum has acked, the leader knows that it led when the
 * round began: it may answer reads itself for LEASE_HOLDER_MS from then, and so may each follower,
 * counted from when it asked: its ack of an earlier round, that had come in before this one began.
 * From the grant on the leader counts the follower as a holder for LEASE_MS. Safe is what it and
 * all holders have applied.
 *
 * Why a new leader does not break an old one's leases: a quorum acked the old leader's round r and
 * a quorum elected the new one; a node in both acked before it voted. So r, and every ask that r
 * granted, began before the election, and all of it is over LEASE_MS after the election. Until then
 * the new leader's safe does not move past what the nodes that have not acked to it may show. It
 * can know earlier: who acks tells how long ago it last acked anybody before (quiet_ms), and every
 * round of old leaders began before the youngest of these times in any quorum of acks. That makes
 * the pause of writes after a leader's death about LEASE_MS from its last round, not from the
 * election.
 *
 * Why an old leader's safe may still be believed: it is not past what it knew as committed, and a
 * later leader's grants demand at least that to be applied.
 *
 * A node wants a lease while it has reads, and until LEASE_IDLE_MS after the last: the first read
 * after a pause asks the leader for a round and waits for it, and a cluster nobody reads from sends
 * nothing.
 *
 * Clocks: monotonic ones, intervals only, never compared between nodes. LEASE_HOLDER_MS against
 * LEASE_MS allows them to run up to 10 % apart. now has to be read after the frame that is handed
 * in was taken from the mailbox (loop.h sees to it), so that a thread that was stopped in between
 * cannot date an event before it happened.
 *
 * Thread:  core only.
 * Owns:    nothing on the heap. Embedded by its owner; lease_init.
 * Limits:  LEASE_SERVERS_MAX servers; one beyond it gets no lease. A follower more than two rounds
 *          behind gets none until it has caught up, so a slow one delays writes once, by at most
 *          LEASE_MS.
 * Order:   frames of one peer arrive in order or not at all (rpc/links.h).
 * Source:  design.md 4 (reads never go back).
 */
#ifndef NACRE_CLUSTER_LEASE_H
#define NACRE_CLUSTER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "cluster/lease_holder.h"
#include "cluster/lease_leader.h"
#include "cluster/lease_log.h"

/* How a frame leaves: lost without harm. */
struct lease_ops {
    void (*send)(void *self, uint64_t to, struct buf *take_frame);
};

/* Embedded by its owner. */
struct lease {
    struct lease_leader leader;
    struct lease_holder holder;
    uint64_t wanted_until_ms; /* reads come here */
    bool waits;               /* one does, for a lease; */
    uint64_t again_ms;        /* ... it is asked for again then */
    uint64_t safe;
    uint64_t wrote;        /* the last entry applied here that readers can see */
    uint64_t safe_told;    /* leader: to everybody */
    uint64_t applied_told; /* follower: to its leader */
};

/* self: this node's number; life: drawn for this start, never used before. */
void lease_init(struct lease *l, uint64_t self, uint64_t life, struct now now);

/* The log's servers, when they have changed. */
void lease_on_servers(struct lease *l, const struct lease_server *list, size_t count,
                      const struct lease_log *log);

/* A frame of a peer. E_PARSE  malformed; one that has no meaning now is ignored. */
MUST_USE int lease_receive(struct lease *l, uint64_t from, struct span frame,
                           const struct lease_log *log, struct now now, struct fail *fail);

/* An entry was applied here that readers can see; before the turn's lease_turn. */
void lease_on_write(struct lease *l, uint64_t index);

/* Before each lease_turn: reads came since the last one; one waits that is not fresh. */
void lease_on_reads(struct lease *l, bool came, bool waits, struct now now);

/* End of a turn, when all that is committed is applied: rounds, grants, acks, and what is safe.
 * Everything of the turn for one peer leaves as one frame. */
void lease_turn(struct lease *l, const struct lease_log *log, struct now now,
                const struct lease_ops *ops, void *self);

/* Reads that began before this monotonic ms are fresh; 0: none is. After lease_turn. */
uint64_t lease_until(const struct lease *l);

/* Never goes back. */
uint64_t lease_safe(const struct lease *l);

/* A server is to be removed from the log's configuration: it is granted nothing more; true when
 * nothing that was granted lasts. Ask until it is, then remove it; without being asked for
 * LEASE_MS it is granted leases again. Always true when this node does not lead. */
bool lease_may_remove(struct lease *l, uint64_t id, struct now now);

/* When lease_turn wants to be called next (monotonic ms); UINT64_MAX: never. */
uint64_t lease_deadline(const struct lease *l);

#endif
