/* Asking the core something that takes its time (node/orders.h), from a thread that waits.
 *
 * Thread:  any but core.
 * Owns:    what is shared between the waiting thread and core, until both have let go of it.
 * Limits:  none of its own: every question is answered within the limits of orders.h, at the latest
 *          when the core stops. The waiting thread can leave earlier.
 */
#ifndef NACRE_NODE_ASK_H
#define NACRE_NODE_ASK_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "cluster/query.h"

struct core;

/* Plain data, borrowed for the call. */
struct ask_listener {
    void (*on_progress)(void *arg, struct span text);
    bool (*is_over)(void *arg); /* nobody waits any more; asked each ASK_SLICE_MS */
    void *arg;
};

#define ASK_SLICE_MS 200

/* Ask and wait. *ret_text: one reference.
 * E_CLOSED  the listener is over, or the node stops   E_LIMIT  core has no room
 * E_INVALID  it failed; the sentence is the answer's */
MUST_USE int ask_core(struct core *core, const struct query *q, const struct ask_listener *listener,
                      struct buf **ret_text, struct fail *fail);

#endif
