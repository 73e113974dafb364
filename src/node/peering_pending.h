/* Registrations that the log does not take in time: shown to this node's clients and answered, or
 * refused, as nacos.naming.registration says (PEERING_QUORUM, PEERING_LOCAL, PEERING_STRICT).
 *
 * The log is late when nobody has led for PEERING_PENDING_WAIT_MS, or when the oldest operation of
 * this node has waited for so long: shorter than the 3 s after which an SDK gives up, longer than
 * an election. While it is late, what comes is shown at once. Operations stay in proposals, in
 * their order, until they are applied; what is persistent or an operator's waits for the log unseen
 * and is refused like a config write when nobody leads.
 *
 * Thread:  core.
 * Owns:    figures only.
 * Limits:  PROPOSALS_MAX operations and PENDING_MAX records (naming/pending.h): beyond them a
 *          registration is refused with the reason.
 * Source:  consensus.md 8.2; design.md 3.
 */
#ifndef NACRE_NODE_PEERING_PENDING_H
#define NACRE_NODE_PEERING_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct peering;

#define PEERING_PENDING_WAIT_MS 800

/* What becomes of a registration that the log does not take in time. */
enum peering_registration {
    PEERING_QUORUM, /* it waits PEERING_PENDING_WAIT_MS, then it is shown and answered */
    PEERING_LOCAL,  /* it is shown and answered at once, always */
    PEERING_STRICT, /* it waits PEERING_LEADERLESS_MS, then it is refused */
};

/* Embedded in struct peering; zero-initialised is the default. */
struct peering_pending {
    enum peering_registration policy;
    bool is_degraded; /* something was shown since the log was late */
    uint64_t since_ms;
    size_t shown; /* since then */
};

/* Look at what waits and was not looked at yet. Once a turn, after the log. */
void peering_pending_turn(struct peering *p, struct now now);

/* When peering_pending_turn wants to be called next (monotonic ms). */
uint64_t peering_pending_deadline(const struct peering *p, struct now now);

/* A snapshot took the place of all that is applied: what waits here and is in it waits no more. */
void peering_pending_covered(struct peering *p, struct now now);

/* For metrics. Plain data. */
struct peering_pending_figures {
    bool is_degraded;
    size_t shown;       /* operations that are shown and not applied */
    uint64_t oldest_ms; /* how long the oldest operation waits for the log, shown or not */
};

/* The figures now. */
struct peering_pending_figures peering_pending_figures(const struct peering *p, struct now now);

#endif
