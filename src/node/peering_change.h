/* Changing the members of the log as membership wants it: one change at a time, each step asked for
 * until the log has it, given up after a while.
 *
 * Thread:  core only.
 * Limits:  CHANGE_PATIENCE_MS for a change, CHANGE_MS_MAX while a newcomer answers and gets the
 * log, CHANGE_ORDERED_MS for one that an operator waits for and the log refuses; a newcomer that
 *          has not become a voter by then is taken out again.
 */
#ifndef NACRE_NODE_PEERING_CHANGE_H
#define NACRE_NODE_PEERING_CHANGE_H

#include "base/clock.h"
#include "cluster/membership.h"

#define CHANGE_PATIENCE_MS 30000
#define CHANGE_MS_MAX 900000
#define CHANGE_ORDERED_MS 3000
#define CHANGE_YIELD_MS 1000  /* between attempts to hand leadership over */
#define CHANGE_SILENT_MS 5000 /* a newcomer that was not heard for so long does not answer */

struct peering;

/* membership_ops.change: copied. The last one is done. */
void peering_change_begin(struct peering *p, const struct membership_change *wanted);

/* One step of the change that is under way; membership is told when it is over. The log is open. */
void peering_change_turn(struct peering *p, struct now now);

#endif
