/* Put back: the log gave this node up while it was cut off, so what its clients publish went; but
 * they are still attached here and believe that they are registered. It says so by an operation, or
 * by a snapshot in which they are missing, when this node was away for longer than the log reaches.
 *
 * Before it goes, what attached connections and living HTTP clients publish is kept here. What this
 * node had proposed before is still to come and is newer, so first a fence goes through the log;
 * when it returns, what is left is proposed, in batches. Whatever a client itself changes meanwhile
 * takes its publication out of here, at the latest when it is applied.
 * Subscribers of this node are told of a service when all of it is back, or after RESTORE_HOLD_MS:
 * no list is empty by accident.
 *
 * Thread:  core only. This node's own, not in the log.
 * Owns:    the operations, until they are applied.
 * Limits:  what this node's clients publish; RESTORE_BATCH proposals a turn. A snapshot that covers
 *          both an answered registration and a deregistration on its way, of which only the first
 *          was applied here, puts the instance back until its connection closes.
 * Source:  consensus.md 8.3 (heal).
 */
#ifndef NACRE_NAMING_RESTORE_H
#define NACRE_NAMING_RESTORE_H

#include "api/outbox.h"
#include "base/arena.h"
#include "naming/naming_op.h"
#include "naming/state.h"

#define RESTORE_BATCH 1000
#define RESTORE_HOLD_MS 3000

/* The operation that publishes p as it is, in the same order of its list, healthy. Borrows from p
 * and arena. */
void publication_as_op(const struct publication *p, struct arena *arena, struct now now,
                       struct naming_op *ret);

/* Keep what this node's living clients publish; if that is something the fence is due. Nothing on a
 * server that is alone, and while the log is replayed. */
void restore_begin(struct naming *n, struct now now);

/* A snapshot was loaded: forget what is in it. */
void restore_review(struct naming *n, struct now now);

/* op, about one client and service, was proposed by this node, or applied: it is newer. */
void restore_drop(struct naming *n, const struct naming_op *op, struct now now);

/* op was applied (or refused; then another one of its client's is what it wants). */
void restore_committed(struct naming *n, const struct naming_op *op, struct now now);

/* Its subscribers wait. */
bool restore_holds(const struct naming *n, const struct service *s);

/* Propose the next batch, or what seems to be lost; end a hold. */
void restore_turn(struct naming *n, struct now now, struct outbox *out);

/* When restore_turn wants to be called next (monotonic ms), UINT64_MAX for never. */
uint64_t restore_deadline(const struct naming *n);

/* Forget everything. */
void restore_close(struct naming *n);

#endif
