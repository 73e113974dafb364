/* Proposals: this node's operations on their way into the log, wherever the leader is.
 *
 * Each is numbered and stays here until this node has applied it. While this node leads they go
 * into its own log; while another one leads they are sent to it, everything of a turn in one frame;
 * when the leader changes or the link was broken they go again from the first one on. owners.h
 * makes sure that each is applied once.
 *
 * Until the log has taken this node's OWNER_UP (its epoch) operations wait here: the up of
 * proposals_set_up is proposed again and again until proposals_on_up.
 * Nobody leads: they wait. What that means for a client is its owner's affair (registrations are
 * shown before they are applied, config writes are refused): proposals_wait_ms tells for how long,
 * proposals_look gives those that wait, in their order. This node's log has no room: who waits is
 * told, and what nobody waits for (no cookie, or shown) stays and goes again.
 *
 * Thread:  core only.
 * Owns:    the bytes. A cookie is handed back exactly once: by proposals_open (applied here),
 *          proposals_shown, proposals_covered or ops->reject.
 * Limits:  PROPOSALS_MAX operations, PROPOSALS_BYTES_MAX bytes; PROPOSALS_FRAME_BYTES a frame (one
 *          larger operation alone); PROPOSALS_FLIGHT_BYTES sent and not yet applied.
 * Bytes:   an operation in the log is an envelope: u8 version, u64 owner, epoch, prev, seq (little
 *          endian), then the feature's operation. A frame: u8 version, then per operation u8 kind,
 *          u32 length, envelope.
 */
#ifndef NACRE_CLUSTER_PROPOSALS_H
#define NACRE_CLUSTER_PROPOSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "cluster/owners.h"

#define PROPOSALS_MAX 262144
#define PROPOSALS_BYTES_MAX (64u << 20)
#define PROPOSALS_FRAME_BYTES (1u << 20)
#define PROPOSALS_FLIGHT_BYTES (16u << 20)
#define PROPOSALS_ENVELOPE 33   /* bytes before the operation */
#define PROPOSALS_RETRY_MS 1000 /* a leader that does not answer is sent everything again */
#define PROPOSALS_HOLD_MS 100   /* what nobody waits for is offered to a full log again */

struct proposals_ops {
    /* Put an envelope into this node's log (which leads). What consensus_propose says. */
    int (*propose)(void *self, unsigned kind, struct span envelope, struct fail *fail);
    /* Send a frame to the leader. False: there is no link to it now. Takes the buffer. */
    bool (*send)(void *self, uint64_t leader, struct buf *take_frame);
    /* The operation will not be applied by this proposal; why is for the waiting client. */
    void (*reject)(void *self, void *cookie, const struct fail *why);
};

struct proposals;

/* owner: this node's number; epoch: of this life, above all earlier ones (wall clock in
 * microseconds is one). */
struct proposals *proposals_create(uint64_t owner, uint64_t epoch, const struct proposals_ops *ops,
                                   void *self);

/* What waits is rejected (E_CLOSED). NULL is fine. */
void proposals_destroy(struct proposals *p);

/* What begins this node's epoch (cluster_op.h), proposed until proposals_on_up. It has no number:
 * proposals_open takes it always. Copied. */
void proposals_set_up(struct proposals *p, unsigned kind, struct span op);

/* The epoch is over (given up by the leader, or not above the known one): another begins; what
 * waits goes with it, in its order. proposals_set_up follows. */
void proposals_reborn(struct proposals *p, uint64_t epoch, struct now now);

/* An envelope without a number, of owner 0 and epoch 0: what only a leader proposes, about others.
 */
MUST_USE struct buf *proposals_unnumbered(struct span op);

/* Take an operation (copied). cookie: handed back when it is applied here; may be NULL.
 * E_LIMIT  as many or as much as may wait do */
MUST_USE int proposals_add(struct proposals *p, unsigned kind, struct span op, void *cookie,
                           struct now now, struct fail *fail);

/* Who leads: 0 nobody, the own number this node. Everything goes again from the first on. */
void proposals_on_leader(struct proposals *p, uint64_t leader, struct now now);

/* The link to the leader is (again) up: everything goes again. */
void proposals_on_link(struct proposals *p, uint64_t peer, struct now now);

/* A frame of another node's operations, for this node's log. False: this node does not lead, or its
 * log does not take them now; the sender will come again. E_PARSE counts as taken (nothing of it is
 * ours to keep). *ret_bad: it was malformed. */
bool proposals_receive(struct proposals *p, struct span frame, bool *ret_bad);

/* What an envelope of the log holds. Plain data, spans into the envelope. */
struct proposal {
    uint64_t owner;
    uint64_t epoch;
    struct span op;
    void *cookie;   /* this node's, which waits for it; NULL */
    uint64_t shown; /* its number when it is one of this node's that are shown; 0 */
    enum owners_verdict verdict;
};

/* The number of an envelope of this node's present life; 0: of another, or none. For the cookies of
 * the log below. */
uint64_t proposals_seq(const struct proposals *p, struct span envelope);

/* Open a committed envelope, judge it against owners, and give the cookie back if it is ours and
 * taken.
 * E_PARSE  not an envelope */
MUST_USE int proposals_open(struct proposals *p, struct owners *owners, struct span envelope,
                            struct proposal *ret, struct fail *fail);

/* The log has taken this node's epoch: operations may go. */
void proposals_on_up(struct proposals *p, struct now now);

/* The log refused an envelope of this node after it took it (leadership lost, full): it goes again,
 * or, when the reason is the disk and somebody waits for it, its client is told. */
void proposals_on_reject(struct proposals *p, uint64_t seq, const struct fail *why);

/* Nobody leads for too long: what waits is rejected with why. What is shown stays, and so does what
 * is of this kind and either not looked at yet or waited for by nobody. */
void proposals_give_up(struct proposals *p, unsigned kept_kind, const struct fail *why);

/* One that waits. Plain data; op is borrowed until the next call. */
struct proposals_waiting {
    uint64_t seq;
    uint64_t since_ms;
    unsigned kind;
    struct span op;
    void *cookie;
};

/* The oldest that was not looked at yet; false: there is none. One of the following three says what
 * becomes of it, so that the next one can be looked at. */
bool proposals_look(const struct proposals *p, struct proposals_waiting *ret);

/* It waits on as it is. */
void proposals_pass(struct proposals *p, uint64_t seq);

/* It is shown before it is applied: its cookie is the caller's, its number comes back from
 * proposals_open. It was answered, so nothing rejects it any more: a log that has no room is asked
 * again. */
void proposals_shown(struct proposals *p, uint64_t seq);

/* It is rejected with why. */
void proposals_refuse(struct proposals *p, uint64_t seq, const struct fail *why);

/* A snapshot took the place of entries: all up to last_seq of this node's present epoch is in it.
 * True: *ret is the oldest of them, which waits no more (op is empty, nobody's cookie is lost);
 * ask again. */
bool proposals_covered(struct proposals *p, uint64_t last_seq, struct proposals_waiting *ret,
                       bool *ret_shown);

/* Send what is due. Once a turn. */
void proposals_turn(struct proposals *p, struct now now);

/* Monotonic ms; UINT64_MAX for never. */
uint64_t proposals_deadline(const struct proposals *p);

/* How long the oldest operation waits; 0 when none does. */
uint64_t proposals_wait_ms(const struct proposals *p, struct now now);

/* How many wait. */
size_t proposals_count(const struct proposals *p);

#endif
